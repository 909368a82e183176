/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * every_file.h - the calls that all files have, asked of one descriptor: descriptors.c, kvm.c.
 */
#ifndef TESTS_CONFORMANCE_EVERY_FILE_H
#define TESTS_CONFORMANCE_EVERY_FILE_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "tests/conformance/calls.h"

static char scratch[PG];

static void note_link(int fd)
{
	char path[64], name[PATH_MAX];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = 0;
	note("%.*s", (int)strcspn(name, "0123456789"), name); /* numbers of groups and of cdevs differ */
}

/* Which lines it has: what they say is asked elsewhere. */
static void note_fdinfo(int fd)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		char *end = strchr(line, ':');
		if (!strncmp(line, "flags:", 6))
			note("%.*s;", (int)strcspn(line + 7, "\n"), line + 7);
		else if (end)
			note("%.*s;", (int)(end - line), line);
	}
	if (f)
		fclose(f);
}

static void looking(int fd)
{
	struct stat st = { 0 };
	struct statfs sf = { 0 };
	char list[256];
	T("fstat", fstat(fd, &st));
	note("mode %o, size %lld, blocks %lld, block size %ld, links %lu, %s number", st.st_mode, (long long)st.st_size,
	     (long long)st.st_blocks, (long)st.st_blksize, (unsigned long)st.st_nlink, st.st_rdev ? "a" : "no");
	T("fstatfs", fstatfs(fd, &sf));
	note("type 0x%lx", (unsigned long)sf.f_type);
	T("name", 0);
	note_link(fd);
	T("fdinfo", 0);
	note_fdinfo(fd);
	T("flistxattr", flistxattr(fd, list, sizeof(list)));
	T("fgetxattr", fgetxattr(fd, "user.x", list, sizeof(list)));
	T("isatty", isatty(fd) ? 0 : -1);
}

static void flags(int fd)
{
	T("F_GETFD", fcntl(fd, F_GETFD));
	T("F_SETFD 0", fcntl(fd, F_SETFD, 0));
	T("F_SETFD FD_CLOEXEC", fcntl(fd, F_SETFD, FD_CLOEXEC));
	T("F_GETFL", 0);
	note("%#o", fcntl(fd, F_GETFL));
	T("F_SETFL O_NONBLOCK", fcntl(fd, F_SETFL, O_NONBLOCK));
	note("%#o", fcntl(fd, F_GETFL));
	T("F_SETFL O_APPEND", fcntl(fd, F_SETFL, O_APPEND));
	note("%#o", fcntl(fd, F_GETFL));
	T("F_SETFL O_DIRECT", fcntl(fd, F_SETFL, O_DIRECT));
	note("%#o", fcntl(fd, F_GETFL));
	T("F_SETFL O_ASYNC", fcntl(fd, F_SETFL, O_ASYNC));
	note("%#o", fcntl(fd, F_GETFL));
	T("F_SETFL O_WRONLY", fcntl(fd, F_SETFL, O_WRONLY));
	note("%#o", fcntl(fd, F_GETFL));
	T("F_SETFL 0", fcntl(fd, F_SETFL, 0));
	note("%#o", fcntl(fd, F_GETFL));
	T("F_GETOWN", fcntl(fd, F_GETOWN));
	T("F_GETPIPE_SZ", fcntl(fd, F_GETPIPE_SZ));
	T("F_GET_SEALS", fcntl(fd, F_GET_SEALS));
	T("F_ADD_SEALS", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	T("F_GETLEASE", fcntl(fd, F_GETLEASE));
	T("an unknown command", fcntl(fd, 9999));
	int on = 1, bytes = -1;
	T("FIONBIO", ioctl(fd, FIONBIO, &on));
	note("%#o", fcntl(fd, F_GETFL));
	fcntl(fd, F_SETFL, 0);
	T("FIOASYNC", ioctl(fd, FIOASYNC, &on));
	T("FIONREAD", ioctl(fd, FIONREAD, &bytes));
	T("FIOQSIZE", ioctl(fd, 0x5460, scratch));
	T("FIGETBSZ", ioctl(fd, 2, &bytes));
	T("FIBMAP", ioctl(fd, 1, &bytes));
	T("FIONCLEX", ioctl(fd, FIONCLEX));
	T("FIOCLEX", ioctl(fd, FIOCLEX));
	T("TCGETS", ioctl(fd, 0x5401, scratch));
	T("an unknown request", ioctl(fd, _IO(';', 255)));
	T("a request of another kind of file", ioctl(fd, _IO('x', 1)));
}

static void moving(int fd)
{
	struct iovec v[2] = { { scratch, 4 }, { scratch + 8, 4 } };
	volatile int many = 2000, negative = -1; /* the compiler knows better */
	T("lseek 0, SEEK_SET", lseek(fd, 0, SEEK_SET));
	T("lseek 8, SEEK_SET", lseek(fd, 8, SEEK_SET));
	T("lseek 0, SEEK_CUR", lseek(fd, 0, SEEK_CUR));
	T("lseek 0, SEEK_END", lseek(fd, 0, SEEK_END));
	T("lseek -1, SEEK_SET", lseek(fd, -1, SEEK_SET));
	T("lseek 0, SEEK_DATA", lseek(fd, 0, SEEK_DATA));
	T("lseek 0, an unknown whence", lseek(fd, 0, 99));
	T("read of nothing", read(fd, scratch, 0));
	T("write of nothing", write(fd, scratch, 0));
	T("pread at -1", pread(fd, scratch, 4, -1));
	T("pwrite at -1", pwrite(fd, scratch, 4, -1));
	T("preadv, no vector", preadv(fd, v, 0, 0));
	T("preadv, 2000 vectors", preadv(fd, v, many, 0));
	T("readv, -1 vectors", readv(fd, v, negative));
	T("preadv2, an unknown flag", preadv2(fd, v, 1, 0, 0x40000000));
}

/* Calls of which none can do anything here. */
static void useless(int fd)
{
	int pipes[2], plain = memfd_create("plain", 0);
	off_t off = 0;
	ftruncate(plain, PG);
	pipe(pipes);
	write(pipes[1], scratch, 16);
	T("ftruncate 0", ftruncate(fd, 0));
	T("ftruncate 4096", ftruncate(fd, PG));
	T("ftruncate -1", ftruncate(fd, -1));
	T("fsync", fsync(fd));
	T("fdatasync", fdatasync(fd));
	T("syncfs", syncfs(fd));
	T("fallocate", fallocate(fd, 0, 0, PG));
	T("fallocate of nothing", fallocate(fd, 0, 0, 0));
	T("fallocate, an unknown mode", fallocate(fd, 0x8000, 0, PG));
	T("posix_fallocate", ({ int e = posix_fallocate(fd, 0, PG); errno = e; e ? -1 : 0; }));
	T("posix_fadvise", ({ int e = posix_fadvise(fd, 0, PG, POSIX_FADV_NORMAL); errno = e; e ? -1 : 0; }));
	T("readahead", readahead(fd, 0, PG));
	T("sync_file_range", sync_file_range(fd, 0, PG, SYNC_FILE_RANGE_WRITE));
	T("sendfile from it", sendfile(plain, fd, NULL, 4));
	T("sendfile from an offset of it", sendfile(plain, fd, &off, 4));
	T("sendfile to it", sendfile(fd, plain, NULL, 4));
	T("splice from it", splice(fd, NULL, pipes[1], NULL, 4, SPLICE_F_NONBLOCK));
	T("splice to it", splice(pipes[0], NULL, fd, NULL, 4, SPLICE_F_NONBLOCK));
	T("copy_file_range from it", copy_file_range(fd, NULL, plain, NULL, 4, 0));
	T("copy_file_range to it", copy_file_range(plain, NULL, fd, NULL, 4, 0));
	T("tee from it", tee(fd, pipes[1], 4, SPLICE_F_NONBLOCK));
	close(plain); close(pipes[0]); close(pipes[1]);
}

static void waiting(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLPRI, 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	fd_set set;
	T("poll", poll(&p, 1, 0));
	note("revents %#x", p.revents);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	T("select for reading", select(fd + 1, &set, NULL, NULL, &(struct timeval){ 0 }));
	T("epoll_ctl ADD", epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	close(ep);
}

static void locking(int fd)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };
	T("flock LOCK_SH", flock(fd, LOCK_SH | LOCK_NB));
	T("flock LOCK_EX", flock(fd, LOCK_EX | LOCK_NB));
	T("flock LOCK_UN", flock(fd, LOCK_UN));
	T("F_SETLK, to read", fcntl(fd, F_SETLK, &l));
	l.l_type = F_WRLCK;
	T("F_SETLK, to write", fcntl(fd, F_SETLK, &l));
	l.l_type = F_UNLCK;
	T("F_SETLK, unlock", fcntl(fd, F_SETLK, &l));
}

static void mapping(int fd)
{
	T("mmap of 0 bytes", try_mmap(fd, 0, PROT_READ, MAP_SHARED, 0));
	T("mmap, shared", try_mmap(fd, PG, PROT_READ, MAP_SHARED, 1ull << 50));
	T("mmap, private", try_mmap(fd, PG, PROT_READ, MAP_PRIVATE, 1ull << 50));
	T("mmap, no type", try_mmap(fd, PG, PROT_READ, 0, 0));
	T("mmap, SHARED_VALIDATE", try_mmap(fd, PG, PROT_READ, MAP_SHARED_VALIDATE, 1ull << 50));
	T("mmap, SHARED_VALIDATE with an unknown flag", try_mmap(fd, PG, PROT_READ, MAP_SHARED_VALIDATE | 1 << 30, 1ull << 50));
}

static void doubling(int fd)
{
	int two = TFD("dup", dup(fd));
	note(", F_GETFD %d", fcntl(two, F_GETFD));
	close(two);
	two = TFD("dup3 O_CLOEXEC", dup3(fd, 200, O_CLOEXEC));
	note(", F_GETFD %d", fcntl(two, F_GETFD));
	close(two);
	T("dup2 onto itself", dup2(fd, fd) == fd ? 0 : -1);
	T("dup3 onto itself", dup3(fd, fd, 0));
	T("dup3, an unknown flag", dup3(fd, 200, 4));
	T("dup2 to -1", dup2(fd, -1));
	two = TFD("F_DUPFD from 100", fcntl(fd, F_DUPFD, 100));
	note(" %s", two >= 100 ? "above" : "below");
	close(two);
	T("F_DUPFD from -1", fcntl(fd, F_DUPFD, -1));
	T("F_DUPFD from beyond the limit", fcntl(fd, F_DUPFD, 1 << 30));
}

static void all(const char *name, int fd)
{
	begin(name);
	T("is open", fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	looking(fd);
	flags(fd);
	moving(fd);
	useless(fd);
	waiting(fd);
	locking(fd);
	mapping(fd);
	doubling(fd);
}

#endif
