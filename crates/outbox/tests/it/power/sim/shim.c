/* Stands between SQLite and the C library for files below SIM_ROOT (LD_PRELOAD).
 *
 * - Every change that reaches the file system is appended to SIM_LOG (format: struct record, then `bytes` bytes).
 * - A sync is recorded, not done: what it makes durable is the reader's affair (disk.rs).
 * - struct control, shared with the test through the file SIM_CONTROL, says which call fails and how. A failing sync is
 *   recorded too, since the kernel then forgets that the pages were dirty.
 * - A minute without opening a file ends the process: a hang is a failure, not a wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, READ = 2, WRITE = 4, TRUNCATE = 8, SYNC = 16, SYNC_DIRECTORY = 32, REMOVE = 64, STAT = 128 };

struct control {
    int32_t after;   /* the n-th call of the kinds below fails; 0: none does */
    int32_t kinds;   /* the bits above */
    int32_t error;   /* its errno */
    int32_t lasting; /* and every later one too, until `after` is 0 */
    int32_t partly;  /* a write takes half of its bytes before it fails */
    int32_t failed;  /* how many calls failed */
};

struct record {
    char kind; /* C create, W write, T truncate, S sync, F failed sync, D synced directory, U unlink, R rename */
    char padding[7];
    uint64_t file; /* inode */
    uint64_t at;
    uint64_t bytes;
};

#define FILES 4096
static struct {
    uint64_t inode;
    char ours, directory;
} files[FILES];
static const char *root;
static size_t root_length;
static int log_fd = -1;
static struct control *control;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("SIM_LOG"), *shared = getenv("SIM_CONTROL"), *below = getenv("SIM_ROOT");
    if (!log || !shared || !below) return;
    log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    int fd = syscall(SYS_openat, AT_FDCWD, shared, O_RDWR | O_CLOEXEC, 0);
    if (log_fd < 0 || fd < 0) abort();
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) abort();
    root_length = strlen(below);
    root = below;
}

static int ours(int fd) { return root && fd >= 0 && fd < FILES && files[fd].ours; }
static int is_below(const char *path) { return root && path && strncmp(path, root, root_length) == 0; }

static void record(char kind, uint64_t file, uint64_t at, const void *data, size_t bytes) {
    struct record head = {.kind = kind, .file = file, .at = at, .bytes = bytes};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, bytes}};
    if (syscall(SYS_writev, log_fd, parts, 2) != (long)(sizeof head + bytes)) abort();
}

/* Whether this call is to fail; sets errno then. */
static int fails(int kind) {
    if (!(control->kinds & kind) || control->after == 0) return 0;
    if (control->after > 1) {
        control->after--;
        return 0;
    }
    if (!control->lasting && !(kind == WRITE && control->partly)) control->after = 0;
    control->failed++;
    errno = control->error;
    return 1;
}

static int do_open(const char *path, int flags, mode_t mode) {
    if (!is_below(path)) return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    alarm(60);
    pthread_mutex_lock(&lock);
    struct stat found;
    int fd = -1, existed = syscall(SYS_newfstatat, AT_FDCWD, path, &found, 0) == 0;
    int kind = existed && S_ISDIR(found.st_mode) ? SYNC_DIRECTORY : OPEN;
    if (!fails(kind)) fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    int error = errno;
    if (fd >= 0 && fd < FILES && syscall(SYS_fstat, fd, &found) == 0) {
        files[fd].ours = 1;
        files[fd].inode = found.st_ino;
        files[fd].directory = S_ISDIR(found.st_mode);
        if (!existed) record('C', found.st_ino, 0, path, strlen(path));
        if (existed && (flags & O_TRUNC)) record('T', found.st_ino, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static mode_t mode_of(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; }

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return do_open(path, flags, mode);
}
int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd) {
    if (ours(fd)) files[fd].ours = 0;
    return syscall(SYS_close, fd);
}

static ssize_t do_write(int fd, const void *data, size_t bytes, off_t at, int seek) {
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    int failed = fails(WRITE);
    if (failed && control->partly && bytes > 1) {
        control->partly = 0;
        bytes /= 2;
        failed = 0;
    } else if (failed && !control->lasting) {
        control->after = 0;
    }
    if (!failed) {
        done = seek ? syscall(SYS_pwrite64, fd, data, bytes, at) : syscall(SYS_write, fd, data, bytes);
        if (done > 0) record('W', files[fd].inode, at, data, done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t bytes) {
    if (!ours(fd)) return syscall(SYS_write, fd, data, bytes);
    return do_write(fd, data, bytes, syscall(SYS_lseek, fd, 0, SEEK_CUR), 0);
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
    if (!ours(fd)) return syscall(SYS_pwrite64, fd, data, bytes, at);
    return do_write(fd, data, bytes, at, 1);
}
ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t at) __attribute__((alias("pwrite")));

/* These two would write behind our back; whoever calls them falls back to read and write. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t bytes, unsigned flags) {
    if (!ours(out)) return syscall(SYS_copy_file_range, in, in_at, out, out_at, bytes, flags);
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t bytes) {
    if (!ours(out)) return syscall(SYS_sendfile, out, in, at, bytes);
    errno = ENOSYS;
    return -1;
}

ssize_t read(int fd, void *data, size_t bytes) {
    return ours(fd) && fails(READ) ? -1 : syscall(SYS_read, fd, data, bytes);
}
ssize_t pread(int fd, void *data, size_t bytes, off_t at) {
    return ours(fd) && fails(READ) ? -1 : syscall(SYS_pread64, fd, data, bytes, at);
}
ssize_t pread64(int fd, void *data, size_t bytes, off_t at) __attribute__((alias("pread")));

int fstat(int fd, struct stat *found) { return ours(fd) && fails(STAT) ? -1 : syscall(SYS_fstat, fd, found); }
int fstat64(int fd, struct stat64 *found) __attribute__((alias("fstat")));

int ftruncate(int fd, off_t size) {
    if (!ours(fd)) return syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int result = fails(TRUNCATE) ? -1 : syscall(SYS_ftruncate, fd, size);
    if (result == 0) record('T', files[fd].inode, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t size) __attribute__((alias("ftruncate")));

static int do_sync(int fd, long call) {
    if (!ours(fd)) return syscall(call, fd);
    pthread_mutex_lock(&lock);
    int directory = files[fd].directory;
    int result = fails(directory ? SYNC_DIRECTORY : SYNC) ? -1 : 0;
    if (result == 0 || !directory) record(result ? 'F' : directory ? 'D' : 'S', files[fd].inode, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

int unlink(const char *path) {
    if (!is_below(path)) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&lock);
    int result = fails(REMOVE) ? -1 : syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0) record('U', 0, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    if (!is_below(from)) return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    int result = fails(REMOVE) ? -1 : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    char both[8192] = {0};
    size_t first = strlen(from), second = strlen(to);
    if (first + second + 1 > sizeof both) abort();
    memcpy(both, from, first);
    memcpy(both + first + 1, to, second);
    if (result == 0) record('R', 0, 0, both, first + 1 + second);
    pthread_mutex_unlock(&lock);
    return result;
}
