/* SPDX-License-Identifier: BSD-3-Clause */
/* locked_vm_test.c - accounts, limits, and threads that charge at once. */
#include <linux/capability.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/mm/locked_vm.h"
#include "kernel/mm/mm_test.h"

static void accounts(void **state)
{
	struct mm *mm = mm_self();

	explain_enable();
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_PROCESS, 1ull << 40), 0); /* no limit */
	assert_int_equal(locked_vm_pages(mm), 1ull << 40);
	assert_int_equal(pinned_vm_pages(mm), 1ull << 40);
	locked_vm_uncharge(mm, LOCKED_VM_PROCESS, 1ull << 40);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_USER, 7), 0);
	assert_int_equal(locked_vm_pages(mm), 0);
	assert_int_equal(pinned_vm_pages(mm), 7);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_PINNED, 2), 0);
	assert_int_equal(locked_vm_pages(mm), 0);
	assert_int_equal(pinned_vm_pages(mm), 9);
	locked_vm_uncharge(mm, LOCKED_VM_PINNED, 2);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_VFIO, 3), 0);
	assert_int_equal(locked_vm_pages(mm), 3);
	assert_int_equal(pinned_vm_pages(mm), 7);
	locked_vm_uncharge(mm, LOCKED_VM_VFIO, 3);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_NONE, 7), 0);
	assert_int_equal(pinned_vm_pages(mm), 7);
	locked_vm_uncharge(mm, LOCKED_VM_NONE, 7);
	locked_vm_uncharge(mm, LOCKED_VM_USER, 7);
	assert_int_equal(pinned_vm_pages(mm), 0);
}

/* Take the capability, or let it go, as far as we may.  Return: do we have it now? */
static bool ipc_lock(bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	__u32 *effective = &data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective;

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	*effective = on ? *effective | CAP_TO_MASK(CAP_IPC_LOCK) : *effective & ~CAP_TO_MASK(CAP_IPC_LOCK);
	return !syscall(SYS_capset, &header, data) && on;
}

static void limits(void **state)
{
	struct rlimit old, small = { .rlim_cur = 8 * PAGE_SIZE };
	struct mm *mm = mm_self();

	locked_vm_set_limit(10 * PAGE_SIZE + 1);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_USER, 10), 0);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_USER, 1), -ENOMEM);
	assert_non_null(strstr(explain_take(), "4 KiB more than the 40 KiB"));
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_PROCESS, 10), 0); /* another account */
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_PROCESS, ~0ull), -ENOMEM);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_NONE, 1000), 0);
	locked_vm_uncharge(mm, LOCKED_VM_PROCESS, 10);
	locked_vm_uncharge(mm, LOCKED_VM_USER, 10);

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	small.rlim_max = old.rlim_max;
	locked_vm_set_limit(LOCKED_VM_HOST);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &small), 0);
	if (ipc_lock(true)) {
		assert_int_equal(locked_vm_charge(mm, LOCKED_VM_USER, 9), 0);
		locked_vm_uncharge(mm, LOCKED_VM_USER, 9);
		assert_int_equal(locked_vm_iommufd(false), LOCKED_VM_PINNED);
		assert_int_equal(locked_vm_iommufd(true), LOCKED_VM_PINNED);
		locked_vm_set_limit(PAGE_SIZE); /* binds it too */
		assert_int_equal(locked_vm_iommufd(true), LOCKED_VM_PROCESS);
		locked_vm_set_limit(LOCKED_VM_HOST);
	}
	ipc_lock(false);
	assert_int_equal(locked_vm_iommufd(false), LOCKED_VM_USER);
	assert_int_equal(locked_vm_iommufd(true), LOCKED_VM_PROCESS);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_USER, 9), -ENOMEM);
	assert_int_equal(locked_vm_charge(mm, LOCKED_VM_USER, 8), 0);
	locked_vm_uncharge(mm, LOCKED_VM_USER, 8);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	locked_vm_set_limit(LOCKED_VM_UNLIMITED);
	assert_int_equal(pinned_vm_pages(mm), 0);
}

static void *charge_many(void *arg)
{
	long got = 0;

	for (int i = 0; i < 10000; i++)
		got += !locked_vm_charge(mm_self(), LOCKED_VM_PROCESS, 1);
	return (void *)got;
}

static void no_limit_is_passed_together(void **state)
{
	pthread_t threads[4];
	long got = 0;
	void *ret;

	locked_vm_set_limit(20000 * PAGE_SIZE);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, charge_many, NULL), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &ret);
		got += (long)ret;
	}
	assert_int_equal(got, 20000);
	assert_int_equal(locked_vm_pages(mm_self()), 20000);
	locked_vm_uncharge(mm_self(), LOCKED_VM_PROCESS, 20000);
	locked_vm_set_limit(LOCKED_VM_UNLIMITED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARDED_TEST(accounts), GUARDED_TEST(limits), GUARDED_TEST(no_limit_is_passed_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
