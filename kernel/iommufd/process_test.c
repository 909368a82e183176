/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process_test.c - two processes at one iommufd: on whose account mapped memory is, and how it moves.
 *
 * A process is a struct mm; the linker puts __wrap_current_mm() in the place of current_mm() (see meson.build), so that
 * a test says which of the two calls.  What is expected is what Linux 7.3.4 said to a parent and its child, neither
 * with CAP_IPC_LOCK.
 */
#include "kernel/iommufd/iommufd_rig_test.h"
#include "kernel/mm/mm_internal.h"

#define PG PAGE_SIZE

struct mm *__real_current_mm(void);
struct mm *__wrap_current_mm(void);

static struct mm child = {
	.slot = PHYS_SLOT_PROGRAM,
	.vma_lock = MUTEX_INITIALIZER(LOCK_VMA),
	.vmas = RB_INITIALIZER(&child.vmas),
	.vma_lowest = ~0ull,
};
static struct mm *caller; /* NULL: the process itself, which is the parent */

struct mm *__wrap_current_mm(void)
{
	return caller ? caller : __real_current_mm();
}

static struct {
	int fd, memfd;
	u32 as, as2;
	struct iommu_domain *domain, *domain2;
	char *mem;
} t;

static void begin(bool by_process)
{
	caller = NULL;
	t.fd = (int)t_works(t_open());
	t_works(t_option(t.fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, by_process));
	t.as = (u32)t_works(t_ioas_alloc(t.fd));
	t.as2 = (u32)t_works(t_ioas_alloc(t.fd));
	t.domain = t_flat();
	t.domain2 = t_flat();
	t_works(iopt_table_add_domain(t_iopt(t.fd, t.as), t.domain));
	t_works(iopt_table_add_domain(t_iopt(t.fd, t.as2), t.domain2));
	t.memfd = memfd_create("x", MFD_CLOEXEC);
	assert_int_equal(ftruncate(t.memfd, 16 * PG), 0);
}

static void end(void)
{
	iopt_table_remove_domain(t_iopt(t.fd, t.as), t.domain);
	iopt_table_remove_domain(t_iopt(t.fd, t.as2), t.domain2);
	iommu_domain_free(t.domain);
	iommu_domain_free(t.domain2);
	t_close(t.fd);
	close(t.memfd);
	caller = NULL;
}

static long map_file(u32 as, u64 pages, u64 at)
{
	return t_map_file(t.fd, as, T_FIXED | T_RW, t.memfd, 0, pages * PG, T_FLAT_START + at * PG);
}

static long change_process(void)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return t_ioctl(t.fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

/* VmPin of both, and VmLck, which is the same where each process has its account. */
static void expect(u64 of_parent, u64 of_child, bool by_process)
{
	assert_int_equal(pinned_vm_pages(mm_self()), of_parent);
	assert_int_equal(pinned_vm_pages(&child), of_child);
	assert_int_equal(locked_vm_pages(mm_self()), by_process ? of_parent : 0);
	assert_int_equal(locked_vm_pages(&child), by_process ? of_child : 0);
}

static void there_and_back(bool by_process)
{
	begin(by_process);
	t_works(map_file(t.as, 8, 0));
	expect(8, 0, by_process);

	caller = &child;
	t_works(map_file(t.as, 2, 16));
	expect(8, 2, by_process);
	t_works(change_process());
	expect(0, 10, by_process);
	assert_non_null(t_leads_to(t.domain, T_FLAT_START));

	/* Memory stays with its process, also if that is the caller. */
	t_works(t_map(t.fd, t.as, T_FIXED | T_RW, t.mem, 4 * PG, T_FLAT_START + 32 * PG));
	t_fails(change_process(), EINVAL);
	assert_non_null(strstr(explain_take(), "of a process' memory"));
	caller = NULL;
	t_fails(change_process(), EINVAL);
	expect(0, 14, by_process);

	/* Whoever unmaps it, it was on the child's. */
	t_works(t_unmap(t.fd, t.as, T_FLAT_START + 32 * PG, 4 * PG));
	expect(0, 10, by_process);
	t_works(change_process());
	expect(10, 0, by_process);
	caller = &child;
	t_works(t_unmap(t.fd, t.as, 0, UINT64_MAX));
	expect(0, 0, by_process);
	end();
}

static void files_move(void **state)
{
	there_and_back(false);
	there_and_back(true);
}

/* What is in no page table yet moves too: it is pinned on the new account. */
static void files_not_pinned_yet_move(void **state)
{
	begin(true);
	iopt_table_remove_domain(t_iopt(t.fd, t.as), t.domain);
	t_works(map_file(t.as, 3, 0));
	caller = &child;
	t_works(change_process());
	caller = NULL;
	expect(0, 0, true);
	t_works(iopt_table_add_domain(t_iopt(t.fd, t.as), t.domain));
	expect(0, 3, true);
	end();
	expect(0, 0, true);
}

/* Two mappings of one piece, in two address spaces, and one that is another's: each is moved once. */
static void copies_move_once(void **state)
{
	begin(true);
	t_works(map_file(t.as, 4, 0));
	t_works(t_copy(t.fd, T_FIXED | T_RW, t.as2, T_FLAT_START, t.as, T_FLAT_START, 4 * PG));
	t_works(t_copy(t.fd, T_FIXED | T_RW, t.as, T_FLAT_START + 8 * PG, t.as, T_FLAT_START + PG, 2 * PG));
	expect(4, 0, true);
	caller = &child;
	t_works(change_process());
	expect(0, 4, true);
	t_works(change_process());
	expect(0, 4, true);
	end();
	expect(0, 0, true);
}

/* The second address space cannot follow, so the first goes back. */
static void all_or_nothing(void **state)
{
	begin(true);
	locked_vm_set_limit(15 * PG);
	t_works(map_file(t.as, 10, 0));
	t_fails(map_file(t.as, 6, 16), ENOMEM);
	t_works(map_file(t.as2, 5, 0));
	expect(15, 0, true);
	locked_vm_set_limit(12 * PG);
	caller = &child;
	t_fails(change_process(), ENOMEM);
	expect(15, 0, true);
	locked_vm_set_limit(15 * PG);
	t_works(change_process());
	expect(0, 15, true);
	end();

	/* What is mapped twice goes back once. */
	begin(true);
	t_works(map_file(t.as, 6, 0));
	t_works(t_copy(t.fd, T_FIXED | T_RW, t.as, T_FLAT_START + 8 * PG, t.as, T_FLAT_START, 6 * PG));
	t_works(t_copy(t.fd, T_FIXED | T_RW, t.as2, T_FLAT_START, t.as, T_FLAT_START, 6 * PG));
	t_works(map_file(t.as2, 5, 8));
	locked_vm_set_limit(10 * PG);
	caller = &child;
	t_fails(change_process(), ENOMEM);
	expect(11, 0, true);
	locked_vm_set_limit(11 * PG);
	t_works(change_process());
	caller = NULL;
	t_works(t_map(t.fd, t.as2, T_FIXED | T_RW, t.mem, PG, T_FLAT_START + 32 * PG));
	t_fails(change_process(), EINVAL); /* the second address space; what was settled long ago stays */
	assert_int_equal(pinned_vm_pages(&child), 11);
	locked_vm_set_limit(15 * PG);
	end();

	/* One user's processes have one account, on which both stand for a moment: as Linux 7.3.4 has it. */
	begin(false);
	t_works(map_file(t.as, 10, 0));
	caller = &child;
	t_fails(change_process(), ENOMEM);
	expect(10, 0, false);
	locked_vm_set_limit(20 * PG);
	t_works(change_process());
	expect(0, 10, false);
	locked_vm_set_limit(1ull << 40);
	end();
	expect(0, 0, false);
}

static int buf_phys(struct dma_buf *buf, phys_addr_t *ret_phys)
{
	*ret_phys = virt_to_phys(buf->priv);
	return 0;
}

static void buf_release(struct dma_buf *buf)
{
	(void)buf;
}

/* The memory of a device is on nobody's account, and does not move. */
static void dma_bufs_stay(void **state)
{
	static const struct dma_buf_ops ops = { .phys = buf_phys, .release = buf_release };
	struct dma_buf *buf = dma_buf_export(&ops, t.mem, 4 * PG, O_RDWR);
	int fd = dma_buf_fd(buf, true);
	u64 last = T_FLAT_START + 2 * PG - 1;

	begin(true);
	t_works(t_map_file(t.fd, t.as, T_FIXED | T_RW, fd, 0, 4 * PG, T_FLAT_START));
	expect(0, 0, true);
	caller = &child;
	t_fails(change_process(), EINVAL);
	/* Nor can it be cut, be it with or without a page table. */
	t_fails(iopt_cut_iova(t_iopt(t.fd, t.as), &last, 1), EOPNOTSUPP);
	iopt_table_remove_domain(t_iopt(t.fd, t.as), t.domain);
	t_works(iopt_disable_large_pages(t_iopt(t.fd, t.as)));
	t_fails(iopt_cut_iova(t_iopt(t.fd, t.as), &last, 1), EOPNOTSUPP);
	t_works(iopt_table_add_domain(t_iopt(t.fd, t.as), t.domain));
	t_works(t_copy(t.fd, T_FIXED | T_RD, t.as, T_FLAT_START + 8 * PG, t.as, T_FLAT_START + PG, 2 * PG));
	assert_ptr_equal(t_leads_to(t.domain, T_FLAT_START + 8 * PG), t.mem + PG);
	end();
	t_close(fd);
}

/* Who may lock as much as he likes has it on VmPin alone, and there it stays. */
static void unlimited_accounts_stay(void **state)
{
	locked_vm_set_limit(LOCKED_VM_UNLIMITED);
	if (locked_vm_iommufd(true) != LOCKED_VM_PINNED) {
		locked_vm_set_limit(1ull << 40);
		skip(); /* without CAP_IPC_LOCK */
	}
	begin(true);
	t_works(map_file(t.as, 4, 0));
	assert_int_equal(pinned_vm_pages(mm_self()), 4);
	assert_int_equal(locked_vm_pages(mm_self()), 0);
	caller = &child;
	t_works(map_file(t.as2, 3, 0));
	t_works(change_process());
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pinned_vm_pages(mm_self()), 4);
		assert_int_equal(pinned_vm_pages(&child), 3);
		assert_int_equal(locked_vm_pages(mm_self()), 0);
		assert_int_equal(locked_vm_pages(&child), 0);
		caller = NULL;
		t_works(change_process());
	}
	caller = &child;
	t_works(t_unmap(t.fd, t.as, 0, UINT64_MAX));
	expect(0, 3, false);
	end();
	expect(0, 0, true);
	locked_vm_set_limit(1ull << 40);
}

/* ---- processes whose calls are served here: counted, and their memory is elsewhere ---- */

struct served {
	struct mm *mm;
	int mem, maps; /* private: open for as long as somebody has the mm */
};

static struct served served(void)
{
	struct served s = { .mem = fd_private(open("/proc/self/mem", O_RDWR | O_CLOEXEC)),
			    .maps = fd_private(open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) };

	s.mm = mm_of_process(s.mem, s.maps);
	assert_non_null(s.mm);
	return s;
}

static bool is_gone(const struct served *s)
{
	return !fd_is_private(s->mem) && !fd_is_private(s->maps);
}

static unsigned slot_at(u64 at)
{
	return (unsigned)(iommu_iova_to_phys(t.domain, T_FLAT_START + at * PG) >> PHYS_SLOT_SHIFT);
}

/* A file is mapped here, whoever asks for it; memory is where it is. */
static void files_are_pinned_here(void **state)
{
	struct served other = served();
	char byte = 0, *page;

	begin(true);
	caller = other.mm;
	t_works(map_file(t.as, 2, 0));
	t_works(t_map(t.fd, t.as, T_FIXED | T_RW, t.mem, 4 * PG, T_FLAT_START + 8 * PG));
	t_fails(t_map(t.fd, t.as, T_FIXED | T_RW, (void *)PG, PG, T_FLAT_START + 16 * PG), EFAULT);
	caller = NULL;
	assert_int_equal(slot_at(0), PHYS_SLOT_PROGRAM);
	assert_int_equal(slot_at(8), PHYS_SLOT_PROCESS);
	page = t_leads_to(t.domain, T_FLAT_START + PG);
	assert_non_null(page);
	assert_int_equal(pwrite(t.memfd, "f", 1, PG), 1);
	assert_int_equal(*page, 'f');
	t.mem[2 * PG] = 'm';
	assert_int_equal(phys_read(iommu_iova_to_phys(t.domain, T_FLAT_START + 10 * PG), &byte, 1), 0);
	assert_int_equal(byte, 'm');
	assert_int_equal(pinned_vm_pages(other.mm), 6);
	assert_int_equal(pinned_vm_pages(mm_self()), 0);
	assert_int_equal(locked_vm_pages(other.mm), 6);
	mmdrop(other.mm);
	assert_false(is_gone(&other));
	t_works(t_unmap(t.fd, t.as, T_FLAT_START + 8 * PG, 4 * PG));
	assert_false(is_gone(&other)); /* the file is on its account */
	t_works(t_unmap(t.fd, t.as, T_FLAT_START, 2 * PG));
	assert_true(is_gone(&other));
	end();
	expect(0, 0, true);
}

static void accounts_hold_their_process(void **state)
{
	struct served a = served(), b = served();

	begin(true);
	caller = a.mm;
	t_works(map_file(t.as, 4, 0));
	caller = b.mm;
	locked_vm_set_limit(3 * PG);
	t_fails(change_process(), ENOMEM);
	assert_int_equal(locked_vm_pages(a.mm), 4);
	assert_int_equal(locked_vm_pages(b.mm), 0);
	locked_vm_set_limit(1ull << 40);
	mmdrop(a.mm);
	assert_false(is_gone(&a));
	t_works(change_process());
	assert_true(is_gone(&a));
	assert_int_equal(locked_vm_pages(b.mm), 4);

	/* One address space cannot follow: what was moved goes back, and nobody is held for it. */
	a = served();
	caller = a.mm;
	t_works(t_map(t.fd, t.as2, T_FIXED | T_RW, t.mem, PG, T_FLAT_START));
	t_fails(change_process(), EINVAL);
	assert_int_equal(locked_vm_pages(b.mm), 4);
	assert_int_equal(locked_vm_pages(a.mm), 1);
	t_works(t_unmap(t.fd, t.as2, 0, UINT64_MAX));
	mmdrop(a.mm);
	assert_true(is_gone(&a));
	caller = NULL;
	mmdrop(b.mm);
	t_works(change_process());
	assert_true(is_gone(&b));
	expect(4, 0, true);
	end();
	expect(0, 0, true);
}

/* The test's own process may have the capability, with which nothing would be on an account. */
static int without_ipc_lock(void **state)
{
	locked_vm_set_limit(1ull << 40);
	return t_machine(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(files_move), T_TEST(files_not_pinned_yet_move), T_TEST(copies_move_once), T_TEST(all_or_nothing),
		T_TEST(dma_bufs_stay), T_TEST(unlimited_accounts_stay), T_TEST(files_are_pinned_here),
		T_TEST(accounts_hold_their_process),
	};

	t.mem = t_memory(16 * PG);
	return cmocka_run_group_tests(tests, without_ipc_lock, t_machine_end);
}
