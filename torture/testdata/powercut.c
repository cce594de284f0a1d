/*
 * powercut.c keeps a record of what a disk was asked to do with one SQLite
 * database, so that a test can work out what a power cut would have left of it
 * (powerdisk_test.go). It is preloaded (LD_PRELOAD) into the processes that use
 * the database and stands between SQLite and the C library. It changes nothing
 * of what they do, unless it is told to end the process at some step.
 *
 *   POWERCUT_DB   absolute path of the database, free of symbolic links
 *   POWERCUT_LOG  folder of the record; exists
 *   POWERCUT_DIE  "OP FILE N": kill -9 at the Nth such step of this process,
 *                 once it is recorded and before the program knows that it is
 *                 done; OP and FILE as in the record
 *
 * The record has one file per thread, so that an entry that SIGKILL cuts short
 * is the last one of its file. All threads of all processes draw tickets from one
 * counter in shared memory. An entry's ticket is drawn when the step is done, and
 * the entry is written before the program is told. A sync has two tickets, one
 * from before it began: what has a lower ticket than that was there to be synced.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC 0x54554352u
#define MAXFD 65536

enum { OPENED = 'O', WROTE = 'W', TRUNCATED = 'T', SYNCED = 'S', UNLINKED = 'U', LOADED = 'L' };
enum { OTHER = 0, DATABASE = 'd', WAL = 'w', JOURNAL = 'j', FOLDER = 'f' };

/* entry is followed by length bytes: what was written. */
struct entry {
	uint32_t magic;
	uint8_t op, file;
	uint16_t pad;
	uint64_t length;
	uint64_t ticket;
	uint64_t began;  /* of a sync: the ticket drawn before it */
	uint64_t inode;
	int64_t offset;  /* of a write; of a truncation: the new size */
};

static char db[PATH_MAX], folder[PATH_MAX], record[PATH_MAX];
static size_t db_length;
static uint64_t *tickets;
static char die_op, die_file;
static long die_at, died;

static struct {
	uint8_t file;
	uint64_t inode;
} fds[MAXFD];

static __thread int log_fd = -1;

static void fail(const char *what)
{
	dprintf(2, "powercut: %s: %s\n", what, strerror(errno));
	_exit(97);
}

static void *next(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);
	if (p == NULL) {
		errno = ENOSYS;
		fail(name);
	}
	return p;
}

/* REAL declares real: the C library's function of this name. */
#define REAL(name) \
	static __typeof__(&name) real; \
	if (real == NULL) \
		real = (__typeof__(&name))next(#name)

static int real_open(const char *path, int flags, mode_t mode)
{
	REAL(open);
	return real(path, flags, mode);
}

static uint64_t ticket(void) { return __atomic_add_fetch(tickets, 1, __ATOMIC_SEQ_CST); }

static void note(int op, int file, uint64_t inode, uint64_t began, int64_t offset, const void *data, size_t length)
{
	int saved = errno;
	struct entry e = { .magic = MAGIC, .op = op, .file = file, .length = length, .ticket = ticket(), .began = began, .inode = inode, .offset = offset };
	struct iovec v[2] = { { &e, sizeof e }, { (void *)data, length } };
	if (log_fd < 0) {
		char name[PATH_MAX + 64];
		snprintf(name, sizeof name, "%s/%d-%d", record, (int)getpid(), (int)syscall(SYS_gettid));
		if ((log_fd = real_open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0)
			fail(name);
	}
	if (writev(log_fd, v, length > 0 ? 2 : 1) != (ssize_t)(sizeof e + length))
		fail("write the record");
	if (op == die_op && file == die_file && __atomic_add_fetch(&died, 1, __ATOMIC_SEQ_CST) == die_at)
		kill(getpid(), SIGKILL);
	errno = saved;
}

__attribute__((constructor)) static void load(void)
{
	const char *path = getenv("POWERCUT_DB"), *dir = getenv("POWERCUT_LOG"), *die = getenv("POWERCUT_DIE");
	if (path == NULL || dir == NULL || strlen(path) >= sizeof db || strlen(dir) >= sizeof record)
		return;
	strcpy(record, dir);
	char name[PATH_MAX + 64];
	snprintf(name, sizeof name, "%s/.tickets", record);
	int fd = real_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *tickets) != 0)
		fail(name);
	void *p = mmap(NULL, sizeof *tickets, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fail(name);
	close(fd);
	tickets = p;
	if (die != NULL && sscanf(die, "%c %c %ld", &die_op, &die_file, &die_at) != 3)
		fail("POWERCUT_DIE");
	strcpy(folder, path);
	char *slash = strrchr(folder, '/');
	if (slash != NULL)
		*slash = 0;
	strcpy(db, path);
	db_length = strlen(db); /* what is opened from here on is recorded */
	note(LOADED, OTHER, 0, 0, 0, NULL, 0);
}

static int file_of(const char *path)
{
	if (db_length == 0)
		return OTHER;
	if (strncmp(path, db, db_length) == 0) {
		const char *suffix = path + db_length;
		if (*suffix == 0)
			return DATABASE;
		if (strcmp(suffix, "-wal") == 0)
			return WAL;
		if (strcmp(suffix, "-journal") == 0)
			return JOURNAL;
	}
	return strcmp(path, folder) == 0 ? FOLDER : OTHER;
}

static int known(int fd) { return fd >= 0 && fd < MAXFD ? fds[fd].file : OTHER; }

static int opened(const char *path, int fd)
{
	int file = file_of(path);
	struct stat st;
	if (fd < 0 || file == OTHER)
		return fd;
	if (fd >= MAXFD || fstat(fd, &st) != 0)
		fail(path);
	fds[fd].file = file;
	fds[fd].inode = st.st_ino;
	note(OPENED, file, st.st_ino, 0, 0, NULL, 0);
	return fd;
}

#define OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		REAL(name); \
		va_list args; \
		va_start(args, flags); \
		mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0; \
		va_end(args); \
		return opened(path, real(path, flags, mode)); \
	}
OPEN(open)
#ifdef __GLIBC__ /* which has a second name where files may be large */
OPEN(open64)
#endif

#define PWRITE(name, off) \
	ssize_t name(int fd, const void *data, size_t length, off offset) \
	{ \
		REAL(name); \
		ssize_t n = real(fd, data, length, offset); \
		if (n > 0 && known(fd)) \
			note(WROTE, fds[fd].file, fds[fd].inode, 0, offset, data, n); \
		return n; \
	}
PWRITE(pwrite, off_t)
#ifdef __GLIBC__
PWRITE(pwrite64, off64_t)
#endif

#define FTRUNCATE(name, off) \
	int name(int fd, off size) \
	{ \
		REAL(name); \
		int r = real(fd, size); \
		if (r == 0 && known(fd)) \
			note(TRUNCATED, fds[fd].file, fds[fd].inode, 0, size, NULL, 0); \
		return r; \
	}
FTRUNCATE(ftruncate, off_t)
#ifdef __GLIBC__
FTRUNCATE(ftruncate64, off64_t)
#endif

#define SYNC(name) \
	int name(int fd) \
	{ \
		REAL(name); \
		uint64_t began = known(fd) ? ticket() : 0; \
		int r = real(fd); \
		if (r == 0 && known(fd)) \
			note(SYNCED, fds[fd].file, fds[fd].inode, began, 0, NULL, 0); \
		return r; \
	}
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path)
{
	REAL(unlink);
	int file = file_of(path);
	struct stat st;
	int there = file != OTHER && stat(path, &st) == 0;
	int r = real(path);
	if (r == 0 && there)
		note(UNLINKED, file, st.st_ino, 0, 0, NULL, 0);
	return r;
}

int close(int fd)
{
	REAL(close);
	if (fd >= 0 && fd < MAXFD)
		fds[fd].file = OTHER;
	return real(fd);
}
