/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * identity.c - are two addresses the same page?  How often is a page pinned?
 *
 * A page of a file that is mapped shared may be at several addresses of a program.  The host kernel says, in
 * its /proc/self/maps, which piece of which file an address shows; anything else is known by its address alone.
 * Slow, and asked by tests only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm_internal.h"
#include "kernel/mm/pins.h"

static int open_maps(const struct mm *mm)
{
	return mm->process ? process_maps_begin(mm) : sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
}

static void close_maps(const struct mm *mm, int fd)
{
	if (mm->process)
		process_maps_end(mm);
	else if (fd >= 0)
		sys_close(fd);
}

/* Nobody has more mappings; what another process says are its maps may be anything. */
#define MAX_MAPS ((size_t)256 << 20)

char *mm_read_maps(const struct mm *mm)
{
	size_t len = 0, room = 64 << 10;
	char *text = kmalloc(room), *more;
	int fd = open_maps(mm);
	ssize_t n = fd;

	while (fd >= 0 && text && room <= MAX_MAPS && (n = sys_pread(fd, text + len, room - len - 1, (off_t)len)) > 0) {
		len += (size_t)n;
		if (room - len > 1)
			continue;
		more = krealloc(text, room *= 2);
		if (!more)
			kfree(text);
		text = more;
	}
	close_maps(mm, fd);
	if (text && n >= 0) {
		text[len] = '\0';
		return text;
	}
	n = text ? n : -ENOMEM;
	kfree(text);
	return ERR_PTR(fail((int)n, "the program's mappings cannot be read"));
}

const char *mm_next_mapping(const char *line, struct mapping *ret)
{
	unsigned long long start, end, off, inode;
	const char *eol = strchr(line, '\n');
	char perms[8];

	if (!eol || sscanf(line, "%llx-%llx %7s %llx %x:%x %llu", &start, &end, perms, &off, &ret->major, &ret->minor,
			   &inode) != 7 || strlen(perms) < 4)
		return NULL;
	ret->start = start;
	ret->end = end;
	ret->off = off;
	ret->inode = inode;
	ret->readable = perms[0] == 'r';
	ret->writable = perms[1] == 'w';
	ret->shared = perms[3] == 's';
	return eol + 1;
}

static bool find_mapping(const char *maps, u64 addr, struct mapping *ret)
{
	while ((maps = mm_next_mapping(maps, ret)))
		if (addr >= ret->start && addr < ret->end)
			return true;
	return false;
}

bool mm_same_file(const struct mapping *a, const struct mapping *b)
{
	return a->shared && b->shared && a->inode == b->inode && a->major == b->major && a->minor == b->minor;
}

int mm_same_page(struct mm *mm, u64 uva, u64 other)
{
	struct mapping a, b;
	char *maps;
	int same = 0;

	if ((uva & PAGE_MASK) == (other & PAGE_MASK))
		return 1;
	maps = mm_read_maps(mm);
	if (IS_ERR(maps))
		return (int)PTR_ERR(maps);
	if (find_mapping(maps, uva, &a) && find_mapping(maps, other, &b) && mm_same_file(&a, &b))
		same = ((uva & PAGE_MASK) - a.start + a.off) == ((other & PAGE_MASK) - b.start + b.off);
	kfree(maps);
	return same;
}

static bool add_refs(const struct pin *pin, void *arg)
{
	*(long *)arg += pin->refs;
	return false;
}

static long pins_at(struct mm *mm, u64 uva)
{
	long count = 0;

	if (mm->process)
		return process_pins_at(mm, uva);
	mutex_lock(&pins_lock);
	pins_visit_locked(uva, uva | ~PAGE_MASK, add_refs, &count);
	mutex_unlock(&pins_lock);
	return count;
}

long mm_pin_count(struct mm *mm, u64 uva)
{
	struct mapping page, m;
	const char *line;
	long count = 0;
	char *maps = mm_read_maps(mm);
	u64 off;

	uva &= PAGE_MASK;
	if (IS_ERR(maps))
		return PTR_ERR(maps);
	if (!find_mapping(maps, uva, &page) || !page.shared) {
		kfree(maps);
		return pins_at(mm, uva);
	}
	off = uva - page.start + page.off;
	for (line = maps; (line = mm_next_mapping(line, &m));)
		if (mm_same_file(&m, &page) && off >= m.off && off - m.off < m.end - m.start)
			count += pins_at(mm, m.start + (off - m.off));
	kfree(maps);
	return count;
}
