/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_test.c - KVM's device for VFIO: which files it takes, and that it holds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kernel/fs/file.h"
#include "kernel/kvm/vfio.h"
#include "kernel/lib/err.h"
#include "kernel/lib/nomem_test.h"
#include "kernel/lib/task.h"
#include "kernel/mm/mm_test.h"

static int released; /* VFIO files that are gone */

static void count_release(struct file *file)
{
	released++;
}

static const struct file_operations kinds[] = {
	[FILE_VFIO_CONTAINER] = { .kind = FILE_VFIO_CONTAINER, .release = count_release },
	[FILE_VFIO_GROUP] = { .kind = FILE_VFIO_GROUP, .release = count_release },
	[FILE_VFIO_DEVICE] = { .kind = FILE_VFIO_DEVICE, .release = count_release },
};

/* A descriptor of a VFIO file of that kind. */
static int vfio(enum file_kind kind)
{
	struct file *file = file_alloc(&kinds[kind], NULL, "/dev/vfio/x", O_RDWR);
	int fd;

	assert_non_null(file);
	fd = fd_publish(file, true);
	assert_true(fd >= 0);
	return fd;
}

static void forget(int fd)
{
	fd_uninstall(fd);
	close(fd);
}

static struct file *device(void)
{
	struct file *kvm = kvm_vfio_create(-1);

	assert_false(IS_ERR(kvm));
	return kvm;
}

static long call(struct file *kvm, unsigned cmd, uint32_t group, uint64_t number, const void *addr)
{
	struct kvm_device_attr attr = { .group = group, .attr = number, .addr = (uintptr_t)addr };

	return kvm->f_op->ioctl(kvm, cmd, (unsigned long)&attr);
}

static long add(struct file *kvm, int fd)
{
	return call(kvm, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, &fd);
}

static long del(struct file *kvm, int fd)
{
	return call(kvm, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL, &fd);
}

static void has_what_it_sets(void **state)
{
	struct file *kvm = device();

	assert_int_equal(call(kvm, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL), 0);
	assert_int_equal(call(kvm, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL, NULL), 0);
	assert_int_equal(call(kvm, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, NULL), -ENXIO);
	assert_int_equal(call(kvm, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, 1ull << 32 | KVM_DEV_VFIO_FILE_ADD, NULL), -ENXIO);
	assert_int_equal(call(kvm, KVM_HAS_DEVICE_ATTR, 0, KVM_DEV_VFIO_FILE_ADD, NULL), -ENXIO);
	/* An attribute that is not there is not read. */
	assert_int_equal(call(kvm, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE, 9, NULL), -ENXIO);
	assert_int_equal(call(kvm, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL), -EFAULT);
	assert_int_equal(call(kvm, KVM_GET_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL), -EPERM);
	assert_int_equal(kvm->f_op->ioctl(kvm, KVM_HAS_DEVICE_ATTR, 8), -EFAULT);
	assert_int_equal(kvm->f_op->ioctl(kvm, KVM_RUN, 0), -ENOTTY);
	fput(kvm);
}

/* A forked child has the descriptor too; the machine is its parent's, before anything else is looked at. */
static void is_of_one_process(void **state)
{
	struct task task = { .mm = mm_of_process(-1, -1) };
	struct file *kvm = device();
	int group = vfio(FILE_VFIO_GROUP);

	current_task = &task;
	assert_int_equal(add(kvm, group), -EIO);
	assert_int_equal(call(kvm, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, NULL), -EIO);
	assert_int_equal(kvm->f_op->ioctl(kvm, KVM_RUN, 0), -EIO);
	current_task = NULL;
	assert_int_equal(del(kvm, group), -ENOENT);
	assert_int_equal(add(kvm, group), 0);
	mmdrop(task.mm);
	fput(kvm);
	forget(group);
}

static void holds_what_was_added(void **state)
{
	struct file *kvm = device();
	int group = vfio(FILE_VFIO_GROUP), dev = vfio(FILE_VFIO_DEVICE);

	released = 0;
	assert_int_equal(del(kvm, group), -ENOENT);
	assert_int_equal(add(kvm, group), 0);
	assert_int_equal(add(kvm, group), -EEXIST);
	assert_int_equal(add(kvm, dev), 0);
	assert_int_equal(del(kvm, dev), 0);
	assert_int_equal(del(kvm, dev), -ENOENT);
	forget(dev);
	assert_int_equal(released, 1);
	forget(group);
	assert_int_equal(released, 1);
	fput(kvm);
	assert_int_equal(released, 2);
}

static void takes_vfio_files_only(void **state)
{
	struct file *kvm = device();
	int container = vfio(FILE_VFIO_CONTAINER), event = eventfd(0, 0);

	assert_int_equal(add(kvm, container), -EINVAL);
	assert_int_equal(add(kvm, event), -EINVAL);
	assert_int_equal(del(kvm, container), -ENOENT);
	assert_int_equal(del(kvm, event), -ENOENT);
	close(event);
	forget(container);
	assert_int_equal(add(kvm, event), -EBADF);
	assert_int_equal(del(kvm, event), -EBADF);
	fput(kvm);
}

static void a_machine_has_one(void **state)
{
	int machine = eventfd(0, 0), same = dup(machine), other = eventfd(0, 0);
	struct file *kvm = kvm_vfio_create(machine), *second;

	assert_false(IS_ERR(kvm));
	assert_ptr_equal(kvm_vfio_create(machine), ERR_PTR(-EBUSY));
	assert_ptr_equal(kvm_vfio_create(same), ERR_PTR(-EBUSY));
	second = kvm_vfio_create(other);
	assert_false(IS_ERR(second));
	fput(kvm);
	kvm = kvm_vfio_create(same);
	assert_false(IS_ERR(kvm));
	fput(kvm);
	fput(second);
	assert_int_equal(fd_private_next(0), -1);
	assert_ptr_equal(kvm_vfio_create(999), ERR_PTR(-EBADF));
	close(machine);
	close(same);
	close(other);
}

/* Each allocation fails in turn: nothing is held of what failed. */
static void without_memory(void **state)
{
	int machine = eventfd(0, 0), group = vfio(FILE_VFIO_GROUP);
	struct file *kvm;
	long err;
	u32 n = 0;

	released = 0;
	do {
		nomem_begin(++n);
		kvm = kvm_vfio_create(machine);
		err = IS_ERR(kvm) ? 0 : add(kvm, group);
		if (IS_ERR(kvm)) {
			assert_ptr_equal(kvm, ERR_PTR(-ENOMEM));
			continue;
		}
		assert_true(!err || err == -ENOMEM);
		assert_int_equal(del(kvm, group), err ? -ENOENT : 0);
		fput(kvm);
	} while (nomem_end());
	assert_true(n > 2);
	assert_int_equal(fd_private_next(0), -1);
	forget(group);
	assert_int_equal(released, 1);
	close(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(has_what_it_sets),
		GUARDED_TEST(is_of_one_process),
		GUARDED_TEST(holds_what_was_added),
		GUARDED_TEST(takes_vfio_files_only),
		GUARDED_TEST(a_machine_has_one),
		GUARDED_TEST(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
