/* Preloaded into a program, this makes its clocks those of a machine that was suspended, or whose clock was set.
 *
 * The file that CLOCKS names holds two numbers of nanoseconds, 8 bytes each in the machine's byte order, which the test
 * changes while the program runs:
 *   1. how long the machine has slept: CLOCK_REALTIME and CLOCK_BOOTTIME count it, CLOCK_MONOTONIC does not;
 *   2. by how much its wall clock was set.
 *
 * libfaketime cannot do the first: it moves no CLOCK_BOOTTIME. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offsets;

__attribute__((constructor)) static void open_control(void) {
    const char *path = getenv("CLOCKS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = file < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        abort();
    close(file);
    offsets = map;
}

static int64_t offset(clockid_t clock) {
    if (offsets == NULL)
        return 0; /* Somebody else's constructor came first. */
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return offsets[0] + offsets[1];
    case CLOCK_BOOTTIME:
        return offsets[0];
    default:
        return 0;
    }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (syscall(SYS_clock_gettime, clock, time) != 0)
        return -1;
    int64_t nanoseconds = time->tv_nsec + offset(clock) % 1000000000;
    time->tv_sec += offset(clock) / 1000000000 + (nanoseconds >= 1000000000) - (nanoseconds < 0);
    time->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *time, void *zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL)
        *result = now.tv_sec;
    return now.tv_sec;
}
