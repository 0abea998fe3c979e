/* A disk that refuses, stalls or forgets, for the process that this library is preloaded into (LD_PRELOAD).
 *
 * It stands between the program and libc's calls that change files, for files below FAULTS_ROOT (an absolute path).
 * What is wrong with the disk stands in the file FAULTS_CONTROL, a `struct control` that both sides map: a test
 * changes it while the program runs (see __init__.py, which has the same struct). With FAULTS_LOG, every write, cut,
 * rename and sync is noted there, so that the test can take away what a power cut would.
 *
 * Only what Rust's standard library and SQLite call is covered: there is no aio, no mmap, no *at() with a folder. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    char part[64];        /* only files whose path below the root contains this */
    int64_t room;         /* bytes that may still be written until write_error: a full disk takes the half of a write */
    int32_t write_error;  /* errno of writes and of creating files */
    int32_t sync_error;   /* errno of fsync and fdatasync */
    int32_t dir_error;    /* errno of fsync on a directory: some file systems cannot do it */
    int32_t read_only;    /* every change fails with EROFS */
    int32_t sync_millis;  /* how long a sync takes more than it does */
    int32_t sync_hang;    /* syncs wait until this is 0 */
    int32_t hits;         /* told by us: calls that were refused or held up */
    int32_t waiting;      /* told by us: syncs that are held up now */
};

/* What a call would do to the disk. */
enum deed { WRITE, CREATE, CHANGE, SYNC };

static struct control *control;
static const char *root;
static int log_fd = -1;

/* The next in line, which is libc. */
#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FAULTS_CONTROL"), *log = getenv("FAULTS_LOG");
    root = getenv("FAULTS_ROOT");
    int fd = file && root ? REAL(open)(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        fprintf(stderr, "faults: no FAULTS_ROOT, or FAULTS_CONTROL cannot be opened\n");
        _exit(99);
    }
    void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    control = shared == MAP_FAILED ? NULL : shared;
    REAL(close)(fd);
    if (log) log_fd = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (!control) _exit(99);
}

/* The path below the root; NULL where it is elsewhere. */
static const char *below_root(const char *path) {
    size_t length = control ? strlen(root) : 0;
    return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]) ? path + length : NULL;
}

static const char *path_of(int fd, char *buffer) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return below_root(buffer);
}

static int is_hit(const char *path) { return path && strstr(path, control->part); }

static int refuse(int error) {
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
    errno = error;
    return -1;
}

/* -1 with errno where the disk refuses. */
static int allowed(enum deed deed, const char *path) {
    if (!is_hit(path)) return 0;
    if (control->read_only && deed != SYNC) return refuse(EROFS);
    if (control->write_error && control->room <= 0 && deed <= CREATE) return refuse(control->write_error);
    if (control->sync_error && deed == SYNC) return refuse(control->sync_error);
    return 0;
}

/* Bytes of `wanted` that there is room for; -1 with errno where there is none at all. */
static ssize_t grant(const char *path, size_t wanted) {
    if (allowed(WRITE, path)) return -1;
    if (!is_hit(path) || !control->write_error) return wanted;
    int64_t left = __atomic_fetch_sub(&control->room, wanted, __ATOMIC_SEQ_CST);
    if (left >= (int64_t)wanted) return wanted;
    return left > 0 ? left : refuse(control->write_error);
}

/* One line: thread, deed, two numbers, path below the root. */
static void note(char deed, int64_t a, int64_t b, const char *path) {
    char line[PATH_MAX + 64];
    int error = errno;
    if (log_fd < 0 || !path) return;
    long thread = syscall(SYS_gettid);
    int length = snprintf(line, sizeof line, "%ld %c %lld %lld %s\n", thread, deed, (long long)a, (long long)b, path);
    if (REAL(write)(log_fd, line, length) != length) _exit(99);
    errno = error;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    ssize_t granted = path ? grant(path, count) : (ssize_t)count;
    if (granted < 0) return -1;
    ssize_t written = REAL(write)(fd, bytes, granted);
    if (path && written > 0) note('w', lseek(fd, 0, SEEK_CUR) - written, written, path);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    if (!path) return REAL(writev)(fd, parts, count);
    return count ? write(fd, parts[0].iov_base, parts[0].iov_len) : 0; /* less than all is allowed */
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    ssize_t granted = path ? grant(path, count) : (ssize_t)count;
    if (granted < 0) return -1;
    ssize_t written = REAL(pwrite64)(fd, bytes, granted, offset);
    if (written > 0) note('w', offset, written, path);
    return written;
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return pwrite64(fd, bytes, count, offset); }

int ftruncate64(int fd, off64_t length) {
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    if (allowed(CHANGE, path)) return -1;
    int result = REAL(ftruncate64)(fd, length);
    if (!result) note('t', length, 0, path);
    return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    char buffer[PATH_MAX];
    return allowed(WRITE, path_of(fd, buffer)) ? -1 : REAL(fallocate64)(fd, mode, offset, length);
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    char buffer[PATH_MAX];
    return allowed(WRITE, path_of(fd, buffer)) ? errno : REAL(posix_fallocate64)(fd, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

/* In small naps, so that a disk that is well again lets everybody go. */
static void hold_up(const char *path) {
    const struct timespec nap = {.tv_nsec = 5 * 1000 * 1000};
    int64_t slept = 0;
    if (!is_hit(path) || !(control->sync_hang || control->sync_millis)) return;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&control->waiting, 1, __ATOMIC_SEQ_CST);
    for (; control->sync_hang || slept < control->sync_millis; slept += 5) nanosleep(&nap, NULL);
    __atomic_sub_fetch(&control->waiting, 1, __ATOMIC_SEQ_CST);
}

/* A failed sync is noted too: the kernel forgets the pages that it could not write, and later syncs do not tell. */
static int sync_with(int (*sync)(int), int fd) {
    char buffer[PATH_MAX];
    struct stat is;
    const char *path = path_of(fd, buffer);
    if (is_hit(path) && control->dir_error && !fstat(fd, &is) && S_ISDIR(is.st_mode)) return refuse(control->dir_error);
    note('b', 0, 0, path);
    hold_up(path);
    int result = allowed(SYNC, path) ? -1 : sync(fd);
    note(result ? 'f' : 's', 0, 0, path);
    return result;
}
int fsync(int fd) { return sync_with(REAL(fsync), fd); }
int fdatasync(int fd) { return sync_with(REAL(fdatasync), fd); }

static int open_allowed(const char *name, int flags) {
    const char *path = below_root(name);
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
    int creates = flags & O_CREAT && access(name, F_OK);
    return creates ? allowed(CREATE, path) : writes ? allowed(CHANGE, path) : 0;
}

static int opened(int fd, const char *name, int flags) {
    if (fd >= 0 && flags & O_TRUNC) note('t', 0, 0, below_root(name));
    return fd;
}

/* The mode is there only where a file may be made. */
#define MODE(flags, last) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, last); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open64(const char *name, int flags, ...) {
    MODE(flags, flags)
    return open_allowed(name, flags) ? -1 : opened(REAL(open64)(name, flags, mode), name, flags);
}
int open(const char *name, int flags, ...) {
    MODE(flags, flags)
    return open64(name, flags, mode);
}
int openat64(int dir, const char *name, int flags, ...) {
    MODE(flags, flags)
    if (name[0] == '/') return open64(name, flags, mode);
    return REAL(openat64)(dir, name, flags, mode);
}
int openat(int dir, const char *name, int flags, ...) {
    MODE(flags, flags)
    return openat64(dir, name, flags, mode);
}

int mkdir(const char *name, mode_t mode) {
    return access(name, F_OK) && allowed(CREATE, below_root(name)) ? -1 : REAL(mkdir)(name, mode);
}

int unlink(const char *name) {
    if (allowed(CHANGE, below_root(name))) return -1;
    int result = REAL(unlink)(name);
    if (!result) note('t', 0, 0, below_root(name));
    return result;
}

int rename(const char *from, const char *to) {
    const char *old = below_root(from), *new = below_root(to);
    /* Both names: `checkpoint.new` becoming `checkpoint` is a change of either. */
    if (allowed(CHANGE, old) || allowed(CHANGE, new)) return -1;
    int result = REAL(rename)(from, to);
    if (!result && old && new) {
        note('r', 0, 0, old);
        note('R', 0, 0, new);
    }
    return result;
}
