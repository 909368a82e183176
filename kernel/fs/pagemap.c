/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pagemap.c - /proc/self/pagemap: a 64-bit entry for each page of the program.
 *
 * Bits 0-54 are the page's frame number, if it is present (bit 63).  A program without an IOMMU tells
 * its device that number, times 4096.  The host's own numbers are shown to root only and mean nothing to
 * our devices; here the physical address of a page is its virtual one (kernel/mm/mm.h), and all other
 * bits are the host's.
 *
 * Source: Linux Documentation/admin-guide/mm/pagemap.rst; answers to odd reads are the host's.
 */
#include "kernel/fs/pagemap.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "kernel/fs/file.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"

#define PM_PRESENT BIT_ULL(63)
#define PM_PFRAME_MASK (BIT_ULL(55) - 1)
#define ENTRIES 256u

static void show_frames(u64 *entries, u64 first_page, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (entries[i] & PM_PRESENT)
			entries[i] = (entries[i] & ~PM_PFRAME_MASK) | (first_page + i);
	}
}

static ssize_t read_some(struct file *file, char __user *buf, size_t len, u64 pos)
{
	u64 entries[ENTRIES];
	ssize_t n = sys_pread(file->backing_fd, entries, min(len, sizeof(entries)), (off_t)pos);

	if (n <= 0)
		return n;
	show_frames(entries, pos / sizeof(u64), (size_t)n / sizeof(u64));
	return copy_to_user(buf, entries, (size_t)n) ? -EFAULT : n;
}

static ssize_t pagemap_read(struct file *file, char __user *buf, size_t len, u64 *pos)
{
	size_t done = 0;
	ssize_t n;

	if (*pos % sizeof(u64) || len % sizeof(u64))
		return fail(-EINVAL, "%zu bytes at 0x%llx: entries are read whole, 8 bytes each", len,
			    (unsigned long long)*pos);
	while (done < len) {
		n = read_some(file, buf + done, len - done, *pos);
		if (n < 0 && !done)
			return fail((int)n, "the host's pagemap cannot be read at 0x%llx", (unsigned long long)*pos);
		if (n <= 0)
			break;
		done += (size_t)n;
		*pos += (u64)n;
	}
	return (ssize_t)done;
}

static const struct file_operations pagemap_fops = { .kind = FILE_PROC, .read = pagemap_read };

struct file *pagemap_open(unsigned int f_flags)
{
	int fd = sys_open(PAGEMAP_PATH, (int)f_flags | O_CLOEXEC, 0);
	struct file *file;

	if (fd < 0)
		return ERR_PTR(fail(fd, "the host refuses " PAGEMAP_PATH));
	file = file_alloc(&pagemap_fops, NULL, PAGEMAP_PATH, f_flags);
	if (!file) {
		sys_close(fd);
		return ERR_PTR(fail(-ENOMEM, "no memory for " PAGEMAP_PATH));
	}
	file->backing_fd = fd;
	file->mode = S_IFREG | 0400;
	return file;
}
