/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma_test.c - random sequences of map and unmap against a plain model, for both versions; the page
 * tables are read back after each step.  And two threads at once.
 *
 * The seed is printed; SEED=n in the environment replays a run.
 */
#include "kernel/vfio/vfio_test.h"

#include <pthread.h>
#include <time.h>

#include "kernel/fs/file.h"
#include "kernel/lib/task.h"
#include "kernel/mm/locked_vm.h"
#include "kernel/vfio/type1/type1.h"

#define PAGES 48 /* of IOVA that the random walk plays with */
#define MEM_PAGES 64
#define STEPS 20000

static char *mem;

static int setup(void **state)
{
	mem = mmap(NULL, MEM_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mem == MAP_FAILED ? -1 : t_machine(state);
}

/* ---- an address space without a container around it ---- */

static struct vfio_domain domain;
static struct vfio_iommu_group group;

static void make_iommu(struct vfio_iommu *iommu, bool v2)
{
	*iommu = (struct vfio_iommu){ .v2 = v2, .dma_limit = 20, .dma_avail = 20 };
	TAILQ_INIT(&iommu->domains);
	TAILQ_INIT(&domain.groups);
	group.iommu_group = iommu_group_get(&t_dev[FAKE2].dev);
	domain.domain = iommu_paging_domain_alloc(&t_dev[FAKE2].dev);
	assert_false(IS_ERR(domain.domain));
	assert_int_equal(iommu_attach_group(domain.domain, group.iommu_group), 0);
	TAILQ_INSERT_TAIL(&domain.groups, &group, next);
	TAILQ_INSERT_TAIL(&iommu->domains, &domain, next);
	assert_int_equal(vfio_iova_refresh(iommu), 0);
}

static void end_iommu(struct vfio_iommu *iommu)
{
	vfio_dma_remove_all(iommu);
	assert_int_equal(iommu->dma_avail, iommu->dma_limit);
	assert_int_equal(locked_vm_pages(mm_self()), 0);
	assert_int_equal(iommu->vaddr_invalid_count, 0);
	iommu_detach_group(domain.domain, group.iommu_group);
	iommu_domain_free(domain.domain);
	iommu_group_put(group.iommu_group);
	vfio_iommu_info_stale(iommu);
	range_tree_destroy(&iommu->dmas);
	free(iommu->ranges);
}

/* ---- the model: which mapping has page i ---- */

struct piece {
	unsigned first, pages, mem_page;
	bool used, invalid;
};

static struct piece pieces[PAGES];
static unsigned nr_pieces;

static struct piece *piece_at(unsigned page)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct piece *p = &pieces[i];

		if (p->used && page >= p->first && page < p->first + p->pages)
			return p;
	}
	return NULL;
}

static int model_map(unsigned first, unsigned pages, unsigned mem_page, unsigned limit)
{
	struct piece *p = pieces;

	for (unsigned i = first; i < first + pages; i++) {
		if (piece_at(i))
			return -EEXIST;
	}
	if (nr_pieces >= limit)
		return -ENOSPC;
	while (p->used)
		p++;
	*p = (struct piece){ .first = first, .pages = pages, .mem_page = mem_page, .used = true };
	nr_pieces++;
	return 0;
}

static int model_unmap(bool v2, unsigned first, unsigned pages, bool vaddr, u64 *ret_pages)
{
	const unsigned last = first + pages - 1;
	struct piece *p;

	*ret_pages = 0;
	for (unsigned i = first; v2 && i <= last; i++) {
		p = piece_at(i);
		if (p && (p->first < first || p->first + p->pages - 1 > last))
			return -EINVAL;
	}
	p = piece_at(first);
	if (p && p->first < first)
		return 0; /* v1 */
	for (unsigned i = first; vaddr && i <= last; i++) {
		p = piece_at(i);
		if (p && p->invalid)
			return -EINVAL;
	}
	for (unsigned i = first; i <= last; i++) {
		p = piece_at(i);
		if (!p || p->first != i)
			continue;
		*ret_pages += p->pages;
		if (vaddr) {
			p->invalid = true;
		} else {
			p->used = false;
			nr_pieces--;
		}
	}
	return 0;
}

static int model_vaddr(unsigned first, unsigned pages)
{
	struct piece *p = NULL;

	for (unsigned i = first; !p && i < first + pages; i++)
		p = piece_at(i);
	if (!p)
		return -ENOENT;
	if (p->first != first || p->pages != pages || !p->invalid)
		return -EINVAL;
	p->invalid = false;
	return 0;
}

/* ---- the walk ---- */

static void compare(struct vfio_iommu *iommu, unsigned step)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct piece *p = piece_at(i);
		phys_addr_t pa = iommu_iova_to_phys(domain.domain, (u64)i << PAGE_SHIFT);
		u64 want = p ? (u64)(uintptr_t)mem + (((u64)p->mem_page + i - p->first) << PAGE_SHIFT) : 0;

		if ((pa & PHYS_OFFSET_MASK) != want)
			fprintf(stderr, "step %u, page %u: %#llx, want %#llx\n", step, i,
				(unsigned long long)pa, (unsigned long long)want);
		assert_int_equal(pa & PHYS_OFFSET_MASK, want);
	}
	assert_int_equal(iommu->dma_limit - iommu->dma_avail, nr_pieces);
}

static int real_map(struct vfio_iommu *iommu, u32 flags, unsigned first, unsigned pages, unsigned mem_page)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)mem + mem_page * PAGE_SIZE,
		.iova = first * PAGE_SIZE,
		.size = pages * PAGE_SIZE,
	};

	return vfio_dma_do_map(iommu, &map);
}

static int real_unmap(struct vfio_iommu *iommu, u32 flags, unsigned first, unsigned pages, u64 *ret_pages)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = first * PAGE_SIZE,
		.size = pages * PAGE_SIZE,
	};
	u64 bytes = 0;
	int ret = vfio_dma_do_unmap(iommu, &unmap, NULL, &bytes);

	*ret_pages = ret ? 0 : bytes >> PAGE_SHIFT;
	return ret;
}

static void step(struct vfio_iommu *iommu, unsigned *seed, unsigned number)
{
	const unsigned first = rand_r(seed) % PAGES, what = rand_r(seed) % 16;
	const unsigned pages = 1 + rand_r(seed) % min(8u, PAGES - first),
		       mem_page = rand_r(seed) % (MEM_PAGES - 8);
	u64 got = 0, expected = 0;
	int ret, want;

	explain_begin();
	if (what < 8) {
		ret = real_map(iommu, 1 + rand_r(seed) % 3, first, pages, mem_page);
		want = model_map(first, pages, mem_page, iommu->dma_limit);
	} else if (what < 12) {
		ret = real_unmap(iommu, 0, first, pages, &got);
		want = model_unmap(iommu->v2, first, pages, false, &expected);
	} else if (what < 14) {
		ret = real_unmap(iommu, VFIO_DMA_UNMAP_FLAG_VADDR, first, pages, &got);
		want = model_unmap(iommu->v2, first, pages, true, &expected);
	} else {
		ret = real_map(iommu, VFIO_DMA_MAP_FLAG_VADDR, first, pages, mem_page);
		want = model_vaddr(first, pages);
	}
	if (ret != want || (!want && got != expected))
		fprintf(stderr, "step %u: kind %u [%u+%u]: %d want %d, %llu pages want %llu\n", number, what,
			first, pages, ret, want, (unsigned long long)got, (unsigned long long)expected);
	assert_int_equal(ret, want);
	if (want)
		assert_non_null(explain_take());
	else
		assert_int_equal(got, expected);
	compare(iommu, number);
}

static void walk(bool v2)
{
	unsigned seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 0) : time(NULL);
	struct vfio_iommu iommu;

	print_message("SEED=%u\n", seed);
	memset(pieces, 0, sizeof(pieces));
	nr_pieces = 0;
	make_iommu(&iommu, v2);
	for (unsigned i = 0; i < STEPS; i++)
		step(&iommu, &seed, i);
	end_iommu(&iommu);
}

static void random_v2(void **state)
{
	(void)state;
	walk(true);
}

static void random_v1(void **state)
{
	(void)state;
	walk(false);
}

/* ---- a second unit's domain, and what happens when things fail ---- */

static void replay_into_another_domain(void **state)
{
	struct iommu_domain *other = iommu_paging_domain_alloc(&t_dev[FAKE0].dev);
	struct vfio_iommu iommu;

	(void)state;
	make_iommu(&iommu, true);
	assert_int_equal(real_map(&iommu, 3, 0, 4, 8), 0);
	assert_int_equal(real_map(&iommu, 3, 9, 1, 0), 0);
	assert_int_equal(vfio_dma_replay(&iommu, other), 0);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(iommu_iova_to_phys(other, i * PAGE_SIZE),
				 iommu_iova_to_phys(domain.domain, i * PAGE_SIZE));
	iommu_unmap(other, 0, 4 * PAGE_SIZE);
	/* One page in the way: nothing of the rest stays. */
	explain_begin();
	t_fails(vfio_dma_replay(&iommu, other), EEXIST);
	assert_int_equal(iommu_iova_to_phys(other, 0), 0);
	assert_int_not_equal(iommu_iova_to_phys(other, 9 * PAGE_SIZE), 0);
	iommu_unmap(other, 9 * PAGE_SIZE, PAGE_SIZE);
	iommu_domain_free(other);
	end_iommu(&iommu);
}

static void map_unwinds(void **state)
{
	struct iommu_domain *other = iommu_paging_domain_alloc(&t_dev[FAKE0].dev);
	struct vfio_domain second = { .domain = other };
	struct vfio_iommu iommu;

	(void)state;
	make_iommu(&iommu, true);
	TAILQ_INIT(&second.groups);
	TAILQ_INSERT_TAIL(&iommu.domains, &second, next);
	/* Somebody else's page in the second domain: the first must be clean again, and no pin left. */
	assert_int_equal(iommu_map(other, 2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, IOMMU_READ), 0);
	explain_begin();
	t_fails(real_map(&iommu, 3, 0, 4, 0), EEXIST);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(iommu_iova_to_phys(domain.domain, i * PAGE_SIZE), 0);
	assert_int_equal(locked_vm_pages(mm_self()), 0);
	assert_int_equal(iommu.dma_avail, iommu.dma_limit);
	iommu_unmap(other, 2 * PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(real_map(&iommu, 3, 0, 4, 0), 0);
	assert_int_equal(iommu_iova_to_phys(other, 3 * PAGE_SIZE),
			 iommu_iova_to_phys(domain.domain, 3 * PAGE_SIZE));
	vfio_dma_remove_all(&iommu);
	assert_int_equal(iommu_iova_to_phys(other, 3 * PAGE_SIZE), 0);
	TAILQ_REMOVE(&iommu.domains, &second, next);
	iommu_domain_free(other);
	end_iommu(&iommu);
}

static void without_hugepages(void **state)
{
	struct vfio_iommu iommu;

	(void)state;
	make_iommu(&iommu, true);
	iommu.small_pages = true;
	assert_int_equal(real_map(&iommu, 3, 0, 8, 0), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(iommu_iova_to_phys(domain.domain, i * PAGE_SIZE) & PHYS_OFFSET_MASK,
				 (uintptr_t)mem + i * PAGE_SIZE);
	explain_begin();
	assert_int_equal(iommu_map(domain.domain, 20 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, IOMMU_READ), 0);
	t_fails(real_map(&iommu, 3, 16, 8, 0), EEXIST);
	assert_int_equal(iommu_iova_to_phys(domain.domain, 16 * PAGE_SIZE), 0);
	iommu_unmap(domain.domain, 20 * PAGE_SIZE, PAGE_SIZE);
	end_iommu(&iommu);
}

/* ---- another process ---- */

static struct vm_area *no_area(struct task *task, u64 uva, u64 last)
{
	return NULL;
}

static const struct task_ops other_ops = { .find_area = no_area };

/* One with the same memory; its descriptors tell whether somebody has it still. */
static struct mm *other_process(int *ret_mem, int *ret_maps)
{
	struct mm *mm;

	*ret_mem = fd_private(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
	*ret_maps = fd_private(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
	mm = mm_of_process(*ret_mem, *ret_maps);
	assert_non_null(mm);
	return mm;
}

static void expect_locked(struct mm *mm, u64 own, u64 others)
{
	assert_int_equal(locked_vm_pages(mm_self()), own);
	assert_int_equal(locked_vm_pages(mm), others);
	assert_int_equal(pinned_vm_pages(mm), 0); /* VFIO's are not in VmPin */
}

static void mapped_by_another_process(void **state)
{
	int mem_fd, maps_fd;
	struct task task = { .ops = &other_ops, .mm = other_process(&mem_fd, &maps_fd) };
	struct vfio_iommu iommu;
	phys_addr_t pa;
	char byte;

	(void)state;
	make_iommu(&iommu, true);
	memset(mem, 0, MEM_PAGES * PAGE_SIZE);
	current_task = &task;
	explain_begin();
	assert_int_equal(real_map(&iommu, 3, 0, 4, 8), 0);
	t_fails(real_map(&iommu, 3, 8, 4, 1u << 20), EFAULT);
	current_task = NULL;
	expect_locked(task.mm, 0, 4);
	pa = iommu_iova_to_phys(domain.domain, 3 * PAGE_SIZE);
	assert_int_equal(pa, (u64)PHYS_SLOT_PROCESS << PHYS_SLOT_SHIFT | (uintptr_t)(mem + 11 * PAGE_SIZE));
	mem[11 * PAGE_SIZE] = 'm';
	assert_int_equal(phys_read(pa, &byte, 1), 0);
	assert_int_equal(byte, 'm');
	mmdrop(task.mm);
	assert_true(fd_is_private(mem_fd));
	vfio_dma_remove_all(&iommu);
	assert_false(fd_is_private(mem_fd) || fd_is_private(maps_fd));
	end_iommu(&iommu);
}

/* Who gives an address anew has the mapping, and the pages are on its account. */
static void vaddr_moves_the_account(void **state)
{
	int mem_fd, maps_fd;
	struct task task = { .ops = &other_ops, .mm = other_process(&mem_fd, &maps_fd) };
	struct vfio_iommu iommu;
	phys_addr_t pa;
	u64 pages;

	(void)state;
	make_iommu(&iommu, true);
	explain_begin();
	assert_int_equal(real_map(&iommu, 3, 0, 4, 8), 0);
	pa = iommu_iova_to_phys(domain.domain, 0);
	expect_locked(task.mm, 4, 0);
	current_task = &task;
	t_fails(real_map(&iommu, VFIO_DMA_MAP_FLAG_VADDR, 0, 4, 16), EINVAL); /* it is valid */
	expect_locked(task.mm, 4, 0);
	assert_int_equal(real_unmap(&iommu, VFIO_DMA_UNMAP_FLAG_VADDR, 0, 4, &pages), 0);
	expect_locked(task.mm, 4, 0);

	locked_vm_set_limit(3 * PAGE_SIZE);
	t_fails(real_map(&iommu, VFIO_DMA_MAP_FLAG_VADDR, 0, 4, 16), ENOMEM);
	expect_locked(task.mm, 4, 0);
	assert_int_equal(iommu.vaddr_invalid_count, 1);
	/* For whose it is, nothing changes. */
	current_task = NULL;
	assert_int_equal(real_map(&iommu, VFIO_DMA_MAP_FLAG_VADDR, 0, 4, 16), 0);
	assert_int_equal(real_unmap(&iommu, VFIO_DMA_UNMAP_FLAG_VADDR, 0, 4, &pages), 0);
	locked_vm_set_limit(LOCKED_VM_UNLIMITED);
	current_task = &task;
	assert_int_equal(real_map(&iommu, VFIO_DMA_MAP_FLAG_VADDR, 0, 4, 16), 0);
	expect_locked(task.mm, 0, 4);
	assert_int_equal(iommu_iova_to_phys(domain.domain, 0), pa); /* what is pinned stays that */

	/* And back. */
	assert_int_equal(real_unmap(&iommu, VFIO_DMA_UNMAP_FLAG_VADDR, 0, 4, &pages), 0);
	mmdrop(task.mm);
	assert_true(fd_is_private(mem_fd));
	current_task = NULL;
	assert_int_equal(real_map(&iommu, VFIO_DMA_MAP_FLAG_VADDR, 0, 4, 16), 0);
	assert_false(fd_is_private(mem_fd) || fd_is_private(maps_fd)); /* nobody has it any more */
	assert_int_equal(locked_vm_pages(mm_self()), 4);
	end_iommu(&iommu);
}

/* ---- two threads ---- */

static int shared_container;

static void *map_and_unmap(void *arg)
{
	const u64 base = (u64)(uintptr_t)arg << 32;
	struct vfio_iommu_type1_dma_unmap unmap;
	struct file *file = fget(shared_container);
	long ret = 0;

	for (unsigned round = 0; round < 2000 && !ret; round++) {
		for (unsigned i = 0; i < 8 && !ret; i++) {
			struct vfio_iommu_type1_dma_map map = {
				.argsz = sizeof(map),
				.flags = 3,
				.vaddr = (uintptr_t)mem + i * PAGE_SIZE,
				.iova = base + i * 2 * PAGE_SIZE,
				.size = PAGE_SIZE,
			};

			ret = file->f_op->ioctl(file, VFIO_IOMMU_MAP_DMA, (unsigned long)&map);
		}
		unmap = (struct vfio_iommu_type1_dma_unmap){ .argsz = sizeof(unmap),
							     .iova = base,
							     .size = 16 * PAGE_SIZE };
		if (!ret)
			ret = file->f_op->ioctl(file, VFIO_IOMMU_UNMAP_DMA, (unsigned long)&unmap);
		if (!ret && unmap.size != 8 * PAGE_SIZE)
			ret = -1;
	}
	fput(file);
	return (void *)ret;
}

static void two_threads(void **state)
{
	struct t_ctx x = t_setup("vfio/2", VFIO_TYPE1v2_IOMMU);
	pthread_t threads[2];
	void *ret;

	(void)state;
	guard_install();
	shared_container = x.c;
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, map_and_unmap, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], &ret);
		assert_ptr_equal(ret, NULL);
	}
	t_works(t_unmap(x.c, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	assert_int_equal(t_unmapped, 0);
	t_teardown(x);
}

/* One thread maps while another takes the container's last group away: EINVAL or success, never worse. */
static void *map_until_told(void *arg)
{
	struct file *file = fget(shared_container);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)mem, .size = PAGE_SIZE
	};
	long ret = 0;

	while (!atomic_load((atomic_bool *)arg)) {
		ret = file->f_op->ioctl(file, VFIO_IOMMU_MAP_DMA, (unsigned long)&map);
		/* ENOSPC: on a busy machine all 65,535 mappings fit between two turns of the other thread */
		if (ret && ret != -EINVAL && ret != -EEXIST && ret != -ENOSPC)
			break;
		ret = 0;
		map.iova += PAGE_SIZE;
	}
	fput(file);
	return (void *)ret;
}

static void group_leaves_while_mapping(void **state)
{
	int c = (int)t_works(t_open("vfio/vfio")), g = (int)t_works(t_open("vfio/2"));
	atomic_bool stop = false;
	pthread_t thread;
	void *ret;

	(void)state;
	guard_install();
	shared_container = c;
	assert_int_equal(pthread_create(&thread, NULL, map_until_told, &stop), 0);
	for (unsigned i = 0; i < 200; i++) {
		t_works(t_set_container(g, c));
		t_works(t_ioctl_n(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
		sched_yield();
		t_works(t_ioctl(g, VFIO_GROUP_UNSET_CONTAINER, NULL));
	}
	atomic_store(&stop, true);
	pthread_join(thread, &ret);
	assert_ptr_equal(ret, NULL);
	t_close(g);
	t_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(random_v2, t_close_all),
		cmocka_unit_test_teardown(random_v1, t_close_all),
		cmocka_unit_test_teardown(replay_into_another_domain, t_close_all),
		cmocka_unit_test_teardown(map_unwinds, t_close_all),
		cmocka_unit_test_teardown(without_hugepages, t_close_all),
		cmocka_unit_test_teardown(mapped_by_another_process, t_close_all),
		cmocka_unit_test_teardown(vaddr_moves_the_account, t_close_all),
		cmocka_unit_test_teardown(two_threads, t_close_all),
		cmocka_unit_test_teardown(group_leaves_while_mapping, t_close_all),
	};

	return cmocka_run_group_tests(tests, setup, t_machine_end);
}
