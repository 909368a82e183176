/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * procmem.c - reaching pinned pages from which the program took its own rights.
 *
 * mprotect() changes what the processor may do, not what a device may do to a page that it was given.
 * We are the processor.  Private memory is reached through /proc/self/mem, which goes by what
 * the mapping could be given, not by what it has.  It refuses to write to shared memory that is not
 * writable: there mremap() with an old size of 0 gives a second mapping of the same pages, which gets
 * the right for as long as we copy.
 *
 * Slow, and only tried once a program has in fact taken rights from pinned memory: no other failing
 * transfer may write through a protection.
 */
#include <stdatomic.h>
#include <sys/mman.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/pins.h"

static atomic_bool protected_any;

void pins_protected(u64 start, u64 len_bytes)
{
	if (!pins_for_each_piece(start, len_bytes, NULL))
		return;
	explain_event("mprotect of [0x%llx-0x%llx] while a device has it mapped: the device keeps its rights",
		      (unsigned long long)start, (unsigned long long)(start + len_bytes - 1));
	atomic_store(&protected_any, true);
}

static int by_proc(u64 host, char *buf, size_t len, bool write)
{
	int fd = sys_open("/proc/self/mem", (write ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0)
		return -EFAULT;
	n = write ? sys_pwrite(fd, buf, len, (off_t)host) : sys_pread(fd, buf, len, (off_t)host);
	sys_close(fd);
	return n == (ssize_t)len ? 0 : -EFAULT;
}

static int by_second_mapping(u64 page, size_t off, char *buf, size_t len, bool write)
{
	char *alias = sys_mremap((void *)page, 0, PAGE_SIZE, MREMAP_MAYMOVE, NULL);
	int err;

	if (IS_ERR(alias))
		return -EFAULT;
	err = sys_mprotect(alias, PAGE_SIZE, write ? PROT_READ | PROT_WRITE : PROT_READ);
	if (!err)
		err = write ? guard_copy(alias + off, buf, len) : guard_copy(buf, alias + off, len);
	sys_munmap(alias, PAGE_SIZE);
	return err ? -EFAULT : 0;
}

static int copy_in_page(u64 host, char *buf, size_t len, bool write)
{
	u64 page = host & PAGE_MASK;

	if (!(write ? guard_copy((void *)host, buf, len) : guard_copy(buf, (void *)host, len)))
		return 0;
	if (!by_proc(host, buf, len, write))
		return 0;
	return by_second_mapping(page, host - page, buf, len, write);
}

int phys_copy_pinned(void *host, void *buf, size_t len_bytes, bool write)
{
	u64 at = (u64)(uintptr_t)host;
	char *p = buf;
	int err = 0;

	if (!atomic_load_explicit(&protected_any, memory_order_relaxed))
		return -EFAULT;
	while (len_bytes && !err) {
		size_t n = min(len_bytes, PAGE_SIZE - (at & ~PAGE_MASK));

		err = copy_in_page(at, p, n, write);
		at += n;
		p += n;
		len_bytes -= n;
	}
	return err;
}
