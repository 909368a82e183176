/* SPDX-License-Identifier: BSD-3-Clause */
/* file_test.c - release runs once, at the last put, whoever holds the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/mm/vma.h"

static int released;

static void count_release(struct file *file)
{
	assert_string_equal(file->path, "/dev/vfio/test");
	assert_ptr_equal(file->private_data, &released);
	assert_int_equal(atomic_load(&file->refs), 0);
	released++;
}

static const struct file_operations test_fops = { .kind = FILE_OTHER, .release = count_release };
static const struct file_operations bare_fops = { .kind = FILE_OTHER };

static struct file *new_file(void)
{
	char path[] = "/dev/vfio/test";
	struct file *file = file_alloc(&test_fops, &released, path, O_RDWR);

	assert_non_null(file);
	memset(path, 'x', sizeof(path) - 1); /* it was copied */
	return file;
}

static void starts_with_one_reference(void **state)
{
	struct file *file = new_file();

	released = 0;
	assert_int_equal(file->f_flags, O_RDWR);
	assert_int_equal(file->backing_fd, -1);
	assert_int_equal(atomic_load(&file->f_pos), 0);
	assert_ptr_equal(fget_file(file), file);
	fput(file);
	assert_int_equal(released, 0);
	fput(file);
	assert_int_equal(released, 1);
	fput(NULL);
}

static void release_is_optional(void **state)
{
	fput(file_alloc(&bare_fops, NULL, "", 0));
}

static void many_files(void **state)
{
	struct file *files[1000];

	released = 0;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1000; i++) {
			files[i] = new_file();
			if (i)
				assert_ptr_not_equal(files[i], files[i - 1]);
			atomic_store(&files[i]->f_pos, 99);
			files[i]->mode = 1;
		}
		for (int i = 0; i < 1000; i++) {
			assert_int_equal(files[i]->mode, 1);
			fput(files[i]);
		}
	}
	assert_int_equal(released, 3000);
	files[0] = new_file();
	assert_int_equal(atomic_load(&files[0]->f_pos), 0);
	assert_int_equal(files[0]->mode, 0600);
	fput(files[0]);
}

static void backing_descriptor_goes_with_the_file(void **state)
{
	struct file *file = new_file();
	int hidden = fd_private(memfd_create("backing", MFD_CLOEXEC));
	int plain = memfd_create("backing", MFD_CLOEXEC);

	assert_true(hidden >= 0 && plain >= 0);
	file->backing_fd = hidden;
	fput(file);
	assert_false(fd_is_private(hidden));
	assert_int_equal(fcntl(hidden, F_GETFD), -1);
	file = new_file();
	file->backing_fd = plain;
	fput(file);
	assert_int_equal(fcntl(plain, F_GETFD), -1);
}

static void mappings_hold_the_file(void **state)
{
	struct file *file = new_file();
	struct vm_area *vma = vma_alloc(file, 0x10000, PAGE_SIZE * 2, 0, PROT_READ);

	released = 0;
	assert_non_null(vma);
	vma_insert(mm_self(), vma);
	fput(file);
	assert_int_equal(released, 0);
	assert_int_equal(vma_remove(mm_self(), 0x10000, PAGE_SIZE), 0);
	assert_int_equal(released, 0);
	assert_int_equal(vma_remove(mm_self(), 0x10000, PAGE_SIZE * 2), 0);
	assert_int_equal(released, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_with_one_reference),
		cmocka_unit_test(release_is_optional),
		cmocka_unit_test(many_files),
		cmocka_unit_test(backing_descriptor_goes_with_the_file),
		cmocka_unit_test(mappings_hold_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
