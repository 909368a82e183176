/* SPDX-License-Identifier: BSD-3-Clause */
/* file_test.c - release runs once, at the last put, whoever holds the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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

static void found_by_id(void **state)
{
	struct file *file = new_file(), *other = new_file(), *next;
	u64 id = file->id;

	assert_true(id && other->id && id != other->id);
	assert_null(fget_id(0));
	assert_null(fget_id(~0ull));
	assert_ptr_equal(fget_id(id), file);
	assert_int_equal(atomic_load(&file->refs), 2);
	assert_ptr_equal(fget_id(other->id), other);
	fput(other);
	fput(file);
	fput(file);
	assert_null(fget_id(id));
	/* Another at the same place is another. */
	next = new_file();
	assert_ptr_equal(next, file);
	assert_null(fget_id(id));
	assert_ptr_equal(fget_id(next->id), next);
	fput(next);
	fput(next);
	fput(other);
}

/* Files come and go at one place while they are looked for: what is found has the id. */
static atomic_bool no_more;
static _Atomic u64 newest;

static void *look_for_ids(void *arg)
{
	while (!atomic_load(&no_more)) {
		u64 id = atomic_load(&newest);
		struct file *file = fget_id(id);

		if (file && file->id != id)
			return arg;
		fput(file);
	}
	return NULL;
}

static void found_while_files_come_and_go(void **state)
{
	static const struct file_operations fops = { .kind = FILE_OTHER };
	pthread_t thread;
	void *bad;

	atomic_store(&no_more, false);
	assert_int_equal(pthread_create(&thread, NULL, look_for_ids, &newest), 0);
	for (int i = 0; i < 20000; i++) {
		struct file *file = file_alloc(&fops, NULL, "", 0);

		assert_non_null(file);
		atomic_store(&newest, file->id);
		fput(file);
	}
	atomic_store(&no_more, true);
	pthread_join(thread, &bad);
	assert_null(bad);
}

static unsigned elsewhere_flags;

static unsigned flags_elsewhere(struct file *file, bool set, unsigned flags)
{
	if (set)
		elsewhere_flags = flags;
	return elsewhere_flags;
}

static void flags_as_fcntl_sets_them(void **state)
{
	static const struct file_operations fops = { .kind = FILE_OTHER, .flags = flags_elsewhere };
	struct file *file = new_file();

	file_set_flags(file, O_WRONLY | O_NONBLOCK | O_APPEND | O_NOATIME | O_ASYNC | O_DIRECT);
	assert_int_equal(file_flags(file), O_RDWR | O_NONBLOCK | O_APPEND | O_NOATIME);
	file_set_flags(file, O_APPEND);
	assert_int_equal(file_flags(file), O_RDWR | O_APPEND);
	file_set_flags(file, 0);
	assert_int_equal(file_flags(file), O_RDWR);
	fput(file);

	/* Another process's open file has them. */
	file = file_alloc(&fops, NULL, "", O_RDWR);
	elsewhere_flags = O_RDWR | O_APPEND;
	assert_int_equal(file_flags(file), O_RDWR | O_APPEND);
	file_set_flags(file, O_NONBLOCK);
	assert_int_equal(elsewhere_flags, O_NONBLOCK);
	assert_int_equal(file->f_flags, O_RDWR | O_NONBLOCK);
	fput(file);
}

/* In a child, for which they are meant. */
static int forgets(struct file *old)
{
	struct file *files[200];
	u64 id = old->id;

	file_forget_all();
	if (fget_id(id) || atomic_load(&old->refs) != 1 || strcmp(old->path, "/dev/vfio/test"))
		return 1;
	for (int i = 0; i < 200; i++) {
		files[i] = new_file();
		if (files[i] == old || files[i]->id <= id || fget_id(files[i]->id) != files[i])
			return 2;
	}
	released = 0;
	for (int i = 0; i < 200; i++) {
		fput(files[i]);
		fput(files[i]);
	}
	return released == 200 && old->id == id ? 0 : 3;
}

static void forgotten_in_a_child(void **state)
{
	struct file *file = new_file();
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(forgets(file));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_ptr_equal(fget_id(file->id), file);
	fput(file);
	fput(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_with_one_reference),
		cmocka_unit_test(release_is_optional),
		cmocka_unit_test(many_files),
		cmocka_unit_test(backing_descriptor_goes_with_the_file),
		cmocka_unit_test(mappings_hold_the_file),
		cmocka_unit_test(found_by_id),
		cmocka_unit_test(found_while_files_come_and_go),
		cmocka_unit_test(flags_as_fcntl_sets_them),
		cmocka_unit_test(forgotten_in_a_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
