/* SPDX-License-Identifier: BSD-3-Clause */
/* pagemap_test.c - a page's physical address is its virtual one, if the page is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/fs/pagemap.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"

#define PAGES 600u

static struct file *file;

static ssize_t read_at(void *buf, size_t len, u64 pos)
{
	explain_begin();
	return file->f_op->read(file, buf, len, &pos);
}

static void shows_where_pages_are(void **state)
{
	char *mem = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 entries[PAGES], page = (uintptr_t)mem / PAGE_SIZE;

	assert_ptr_not_equal(mem, MAP_FAILED);
	madvise(mem, PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < PAGES; i += 2)
		mem[i * PAGE_SIZE] = 1;
	assert_int_equal(read_at(entries, sizeof(entries), page * 8), sizeof(entries));
	for (unsigned i = 0; i < PAGES; i++) {
		assert_int_equal(entries[i] >> 63, i % 2 == 0);
		assert_int_equal(entries[i] & (BIT_ULL(55) - 1), i % 2 ? 0 : page + i);
	}
	munmap(mem, PAGES * PAGE_SIZE);
}

static void reads_whole_entries_only(void **state)
{
	u64 entry;

	guard_install(); /* here: cmocka puts its own handler in before */
	assert_int_equal(read_at(&entry, 4, 8), -EINVAL);
	assert_non_null(explain_take());
	assert_int_equal(read_at(&entry, 8, 4), -EINVAL);
	assert_int_equal(read_at(&entry, 0, 8), 0);
	assert_int_equal(read_at((void *)8, 8, (uintptr_t)&entry / PAGE_SIZE * 8), -EFAULT);
}

static int setup(void **state)
{
	explain_enable();
	file = pagemap_open(O_RDONLY);
	return IS_ERR(file) ? -1 : 0;
}

static int teardown(void **state)
{
	fput(file);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_where_pages_are),
		cmocka_unit_test(reads_whole_entries_only),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
