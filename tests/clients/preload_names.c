/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload_names.c - what a program sees of a machine's names: /sys, /dev, links, directories.
 */
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "preload_test.h"

#define DEVICES "/sys/bus/pci/devices"
#define PHYSICAL "/sys/devices/pci0000:00/0000:00:01.0/" BDF

static void nodes(void)
{
	struct statx stx;
	struct stat st;
	int fd;

	ok(!stat("/dev/vfio/vfio", &st));
	ok(S_ISCHR(st.st_mode) && (st.st_mode & 07777) == 0666);
	ok(major(st.st_rdev) == 10 && minor(st.st_rdev) == 196);
	ok(!lstat("/dev/vfio/vfio", &st) && S_ISCHR(st.st_mode));
	ok(!statx(AT_FDCWD, "/dev/vfio/vfio", 0, STATX_BASIC_STATS, &stx));
	ok(S_ISCHR(stx.stx_mode) && stx.stx_rdev_major == 10 && stx.stx_rdev_minor == 196);
	ok(!access("/dev/vfio/vfio", R_OK | W_OK));
	ok(!stat("/dev/vfio", &st) && S_ISDIR(st.st_mode));
	gives(stat("/dev/vfio/none", &st), ENOENT);
	gives(open("/dev/vfio/none", O_RDWR), ENOENT);
	gives(open("/dev/vfio/none", O_RDWR | O_CREAT, 0600), EACCES);
	gives(open("/dev/vfio/vfio", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	gives(open("/dev/vfio/vfio", O_RDWR | O_DIRECTORY), ENOTDIR);

	fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	ok(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	ok(!fstat(fd, &st) && S_ISCHR(st.st_mode) && major(st.st_rdev) == 10);
	ok(!fstatat(fd, "", &st, AT_EMPTY_PATH) && S_ISCHR(st.st_mode));
	ok(!statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) && stx.stx_rdev_minor == 196);
	ok(!close(fd));
	gives(fstat(fd, &st), EBADF);
}

static void iommu_node(void)
{
	struct stat st;
	int fd;

	ok(!stat("/dev/iommu", &st));
	ok(S_ISCHR(st.st_mode) && (st.st_mode & 07777) == 0660);
	ok(major(st.st_rdev) == 10 && minor(st.st_rdev) == 258);
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ok(fd >= 0);
	ok(!fstat(fd, &st) && S_ISCHR(st.st_mode) && major(st.st_rdev) == 10 && minor(st.st_rdev) == 258);
	gives(read(fd, &st, 1), EINVAL);
	gives(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, ENXIO);
	gives(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0, EINVAL);
	ok(!close(fd));
}

static bool listed(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	bool found = false;

	ok(d);
	while ((ent = readdir(d)))
		found |= !strcmp(ent->d_name, name);
	closedir(d);
	return found;
}

/* Some programs believe d_type. */
static void types(DIR *d)
{
	struct dirent *ent;
	int nodes = 0;

	ok(d);
	while ((ent = readdir(d)))
		if (ent->d_name[0] != '.')
			nodes += ent->d_type == DT_CHR;
	ok(nodes == 2 && !closedir(d));
}

static int count(const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++)
		free(list[i]);
	if (n >= 0)
		free(list);
	return n;
}

static void listings(void)
{
	glob_t found;

	ok(listed(DEVICES, BDF));
	ok(count(DEVICES) == 4); /* a root port and a device: the host's own are not seen */
	ok(listed("/sys/bus", "pci") == !access("/sys/bus/pci", F_OK) || !listed("/sys/bus", "pci"));
	ok(listed("/dev", "null"));
	types(opendir("/dev/vfio"));
	types(fdopendir(open("/dev/vfio", O_RDONLY | O_DIRECTORY)));
	gives(count("/sys/class/pci_bus/none"), ENOENT);
	ok(!glob(DEVICES "/0000:*", 0, NULL, &found));
	ok(found.gl_pathc == 2 && !strcmp(found.gl_pathv[1], DEVICES "/" BDF));
	globfree(&found);
	ok(glob("/sys/devices/virtual/iommu/none*", 0, NULL, &found) == GLOB_NOMATCH);
}

static void links(void)
{
	char buf[PATH_MAX], *p;
	ssize_t n;

	n = readlink(DEVICES "/" BDF, buf, sizeof(buf));
	ok(n > 0 && !strncmp(buf, "../../../devices/pci0000:00/", 28));
	n = readlink(PHYSICAL "/driver", buf, sizeof(buf));
	ok(n > 8 && !strncmp(buf + n - 8, "vfio-pci", 8));
	ok(readlink(PHYSICAL "/driver", buf, 3) == 3);
	gives(readlink(PHYSICAL "/vendor", buf, sizeof(buf)), EINVAL);
	gives(readlink(PHYSICAL "/none", buf, sizeof(buf)), ENOENT);

	ok(realpath(DEVICES "/" BDF, buf) == buf && !strcmp(buf, PHYSICAL));
	ok((p = realpath(DEVICES "/" BDF "/subsystem", NULL)) && !strcmp(p, "/sys/bus/pci"));
	free(p);
	ok((p = canonicalize_file_name(DEVICES "/" BDF "/driver")) && !strcmp(p, "/sys/bus/pci/drivers/vfio-pci"));
	free(p);
	ok(realpath("/usr/..", buf) && !strcmp(buf, "/"));
	errno = 0;
	ok(!realpath("/sys/bus/pci/none", buf) && errno == ENOENT);
}

static void read_is(int dir_fd, const char *path, const char *want)
{
	char buf[64] = "";
	int fd = openat(dir_fd, path, O_RDONLY);

	ok(fd >= 0 && read(fd, buf, sizeof(buf) - 1) > 0);
	ok(!strcmp(buf, want));
	ok(!close(fd));
}

static void directories(void)
{
	char buf[PATH_MAX], *p;
	int root = open("/", O_PATH | O_DIRECTORY), bus, fd;
	struct stat st;

	read_is(AT_FDCWD, DEVICES "/" BDF "/vendor", "0x1234\n");
	read_is(AT_FDCWD, "/sys//bus/./pci/devices/../devices/" BDF "/vendor", "0x1234\n");
	/* ".." of a link's target */
	ok(!stat(DEVICES "/" BDF "/../../pci_bus", &st) || errno == ENOENT);
	ok(!stat(DEVICES "/" BDF "/../" BDF, &st) && S_ISDIR(st.st_mode));

	ok(!chdir(DEVICES "/" BDF));
	ok(getcwd(buf, sizeof(buf)) == buf && !strcmp(buf, PHYSICAL));
	ok((p = getcwd(NULL, 0)) && !strcmp(p, PHYSICAL));
	free(p);
	ok(!getcwd(buf, 5) && errno == ERANGE);
	read_is(AT_FDCWD, "device", "0x11e8\n");
	read_is(AT_FDCWD, "./driver/../vfio-pci/../../devices/" BDF "/device", "0x11e8\n");
	ok(!chdir(".."));
	ok(getcwd(buf, sizeof(buf)) && !strcmp(buf, "/sys/devices/pci0000:00/0000:00:01.0"));
	ok(readlink("/proc/self/cwd", buf, sizeof(buf)) == (ssize_t)strlen("/sys/devices/pci0000:00/0000:00:01.0"));
	ok(!chdir("../../..") && getcwd(buf, sizeof(buf)) && !strcmp(buf, "/sys"));
	ok(!chdir("/") && getcwd(buf, sizeof(buf)) && !strcmp(buf, "/"));
	read_is(AT_FDCWD, "sys/bus/pci/devices/" BDF "/device", "0x11e8\n");
	gives(chdir("/sys/bus/pci/none"), ENOENT);

	/* Step by step, as libraries that trust no links do. */
	ok(root >= 0);
	bus = openat(root, "sys/bus", O_PATH | O_DIRECTORY);
	ok(bus >= 0);
	fd = openat(bus, "pci/devices", O_RDONLY | O_DIRECTORY);
	ok(fd >= 0);
	read_is(fd, BDF "/vendor", "0x1234\n");
	ok(!fstatat(fd, BDF, &st, AT_SYMLINK_NOFOLLOW) && S_ISLNK(st.st_mode));
	ok(!faccessat(fd, BDF "/config", R_OK, 0));
	ok(readlinkat(fd, BDF, buf, sizeof(buf)) > 0);
	ok(!fchdir(fd) && getcwd(buf, sizeof(buf)) && !strcmp(buf, DEVICES));
	ok(!chdir("/"));
	close(fd);
	close(bus);
	close(root);
}

static void attributes(void)
{
	struct statfs fs;
	char line[64];
	FILE *f;
	int fd;

	ok(!statfs(DEVICES, &fs) && fs.f_type == SYSFS_MAGIC);
	fd = open(PHYSICAL, O_PATH | O_DIRECTORY);
	ok(!fstatfs(fd, &fs) && fs.f_type == SYSFS_MAGIC);
	close(fd);
	ok(!statfs("/proc", &fs) && fs.f_type == PROC_SUPER_MAGIC);

	ok((f = fopen(PHYSICAL "/class", "r")) && fgets(line, sizeof(line), f) && !strcmp(line, "0x00ff00\n"));
	ok(!fclose(f));
	ok(!fopen(PHYSICAL "/none", "r") && errno == ENOENT);
	ok(!fopen(PHYSICAL "/none", "w") && errno == EACCES);
	ok(!fopen(PHYSICAL "/vendor", "w") && errno == EACCES);
	gives(open(PHYSICAL "/vendor", O_WRONLY), EACCES);
	gives(open("/sys/bus/pci/drivers/vfio-pci/bind", O_RDONLY), EACCES);

	/* Errors of an attribute reach each way of writing. */
	fd = open("/sys/bus/pci/drivers/vfio-pci/bind", O_WRONLY);
	ok(fd >= 0);
	gives(write(fd, "nothing", 7), ENODEV);
	ok(!close(fd));
	ok((f = fopen("/sys/bus/pci/drivers/vfio-pci/bind", "w")) && fputs("nothing", f) >= 0);
	ok(fflush(f) == EOF && errno == ENODEV && ferror(f));
	fclose(f);
	ok((f = fopen("/sys/bus/pci/drivers/vfio-pci/bind", "w")) && fputs("nothing", f) >= 0);
	ok(fclose(f) == EOF && errno == ENODEV);
	ok((f = freopen("/sys/bus/pci/drivers/vfio-pci/bind", "w", fopen("/dev/null", "w"))) && fputs("x", f) >= 0);
	ok(fclose(f) == EOF && errno == ENODEV);
}

static void binding(void)
{
	FILE *f = fopen("/sys/bus/pci/drivers/vfio-pci/unbind", "w");
	int fd;

	ok(f && fputs(BDF, f) >= 0 && !fclose(f));
	ok(access(PHYSICAL "/driver", F_OK) && errno == ENOENT);
	fd = open("/sys/bus/pci/drivers/vfio-pci/bind", O_WRONLY | O_TRUNC);
	ok(fd >= 0 && write(fd, BDF "\n", strlen(BDF) + 1) == (ssize_t)strlen(BDF) + 1 && !close(fd));
	ok(!access(PHYSICAL "/driver", F_OK));
}

/* The same by number. */
static void by_number(void)
{
	char buf[PATH_MAX];
	struct stat st;
	long fd = syscall(SYS_openat, AT_FDCWD, "/dev/vfio/vfio", O_RDWR | O_CLOEXEC, 0);

	ok(fd >= 0 && !syscall(SYS_fstat, fd, &st) && S_ISCHR(st.st_mode));
	ok(syscall(SYS_ioctl, fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION);
	gives(syscall(SYS_read, fd, buf, 1), EINVAL);
	ok(!syscall(SYS_newfstatat, AT_FDCWD, "/dev/vfio/vfio", &st, 0) && S_ISCHR(st.st_mode));
	ok(syscall(SYS_readlink, DEVICES "/" BDF, buf, sizeof(buf)) > 0);
	ok(!syscall(SYS_close, fd));
	gives(syscall(SYS_ioctl, fd, VFIO_GET_API_VERSION), EBADF);
	ok(syscall(SYS_getpid) == getpid());
	ok(syscall(SYS_getcwd, buf, sizeof(buf)) == 2 && !strcmp(buf, "/"));
}

int main(void)
{
	nodes();
	iommu_node();
	listings();
	links();
	directories();
	attributes();
	binding();
	by_number();
	return 0;
}
