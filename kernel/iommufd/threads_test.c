/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * threads_test.c - threads that use one iommufd at once, each with a thing of its own that must stay true.
 *
 * Mappers map, copy and unmap in IOVAs of their own and see what they mapped in the page table that is always
 * there; a second page table comes and goes; an access pins what the mappers have, and lets go when it is told;
 * objects are made and destroyed; a dma-buf is taken back and given again.
 */
#include <pthread.h>

#include "kernel/iommufd/iommufd_rig_test.h"

#define PG PAGE_SIZE
#define MAPPERS 3
#define ROUNDS 3000

static struct {
	int fd, buf_fd;
	u32 as, as2;
	struct io_pagetable *iopt;
	struct iommu_domain *always, *sometimes;
	struct iopt_access access;
	struct mutex pin_lock; /* as a driver's own: pinning is done under it, and being told waits for it */
	u64 pinned;	       /* iova; 0: nothing.  Under pin_lock */
	struct dma_buf *buf;
	atomic_bool revoked;
	atomic_int running;
	char *mem;
} t;

/* cmocka's asserts are for its own thread. */
#define must(cond) do {									\
		if (!(cond)) {								\
			const char *why_ = explain_take();				\
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #cond, why_ ? why_ : "");	\
			abort();							\
		}									\
	} while (0)

static void *mapper(void *arg)
{
	const u64 at = T_FLAT_START + (u64)(uintptr_t)arg * 0x100000;
	char *mem = t.mem + (uintptr_t)arg * 16 * PG;

	explain_begin();
	for (int i = 0; i < ROUNDS; i++) {
		must(!t_map(t.fd, t.as, T_FIXED | T_RW, mem, 4 * PG, at));
		must(t_leads_to(t.always, at + PG) == mem + PG);
		must(!t_copy(t.fd, T_FIXED | T_RD, t.as, at + 8 * PG, t.as, at + PG, 2 * PG));
		must(t_leads_to(t.always, at + 9 * PG) == mem + 2 * PG);
		must(!t_copy(t.fd, T_FIXED | T_RD, t.as2, at, t.as, at, PG));
		must(!t_unmap(t.fd, t.as, at, 4 * PG));
		must(!t_leads_to(t.always, at + PG));
		must(!t_unmap(t.fd, t.as, at + 8 * PG, 2 * PG));
		must(!t_unmap(t.fd, t.as2, at, PG));
	}
	atomic_fetch_sub(&t.running, 1);
	return NULL;
}

static void *table(void *arg)
{
	(void)arg;
	while (atomic_load(&t.running)) {
		must(!iopt_table_add_domain(t.iopt, t.sometimes));
		iopt_table_remove_domain(t.iopt, t.sometimes);
	}
	return NULL;
}

static void let_go(u64 iova, u64 len)
{
	mutex_lock(&t.pin_lock);
	if (t.pinned >= iova && t.pinned < iova + len) {
		iopt_unpin_pages(t.iopt, t.pinned, PG, false);
		t.pinned = 0;
	}
	mutex_unlock(&t.pin_lock);
}

static void access_unmap(struct iopt_access *access, u64 iova, u64 len)
{
	(void)access;
	let_go(iova, len);
}

static void *pinner(void *arg)
{
	const u64 iova = T_FLAT_START + PG;
	phys_addr_t phys;
	char byte;
	int ret;

	(void)arg;
	while (atomic_load(&t.running)) {
		mutex_lock(&t.pin_lock);
		ret = iopt_pin_pages(t.iopt, iova, PG, &phys, true, false);
		must(ret == 0 || ret == -ENOENT || ret == -EPERM);
		if (!ret)
			t.pinned = iova;
		mutex_unlock(&t.pin_lock);
		if (!ret)
			must((char *)(uintptr_t)(phys & PHYS_OFFSET_MASK) == t.mem + PG);
		let_go(iova, PG);
		ret = iopt_rw(t.iopt, iova, &byte, 1, false);
		must(ret == 0 || ret == -ENOENT || ret == -EPERM);
	}
	return NULL;
}

static void *maker(void *arg)
{
	long id;

	(void)arg;
	while (atomic_load(&t.running)) {
		id = t_ioas_alloc(t.fd);
		must(id > 2);
		must(!t_map(t.fd, (u32)id, T_RW, t.mem, PG, 0));
		must(!t_destroy(t.fd, (u32)id));
	}
	return NULL;
}

static void *exporter(void *arg)
{
	const u64 at = T_FLAT_START + 0x700000;
	int ret;

	(void)arg;
	while (atomic_load(&t.running)) {
		ret = (int)t_map_file(t.fd, t.as, T_FIXED | T_RW, t.buf_fd, 0, PG, at);
		must(!ret);
		dma_buf_lock(t.buf);
		atomic_store(&t.revoked, true);
		dma_buf_revoke(t.buf);
		dma_buf_unlock(t.buf);
		must(!t_leads_to(t.always, at));
		atomic_store(&t.revoked, false);
		must(!t_unmap(t.fd, t.as, at, PG));
	}
	return NULL;
}

static int buf_phys(struct dma_buf *buf, phys_addr_t *ret_phys)
{
	*ret_phys = virt_to_phys(buf->priv);
	return atomic_load(&t.revoked) ? fail(-ENODEV, "it was taken back") : 0;
}

static void buf_release(struct dma_buf *buf)
{
	(void)buf;
}

static const struct dma_buf_ops buf_ops = { .exp_name = "test", .phys = buf_phys, .release = buf_release };

static void all_at_once(void **state)
{
	static void *(*const others[])(void *) = { table, pinner, maker, exporter };
	pthread_t threads[MAPPERS + ARRAY_SIZE(others)];

	t.fd = (int)t_works(t_open());
	t.as = (u32)t_works(t_ioas_alloc(t.fd));
	t.as2 = (u32)t_works(t_ioas_alloc(t.fd));
	t.iopt = t_iopt(t.fd, t.as);
	t.always = t_flat();
	t.sometimes = t_flat();
	t.buf = dma_buf_export(&buf_ops, t.mem + 100 * PG, PG, O_RDWR);
	t.buf_fd = dma_buf_fd(t.buf, true);
	mutex_init(&t.pin_lock, LOCK_VFIO_DEVICE_SET);
	t.access = (struct iopt_access){ .iova_alignment = PG, .unmap = access_unmap };
	t_works(iopt_add_access(t.iopt, &t.access));
	t_works(iopt_table_add_domain(t.iopt, t.always));
	atomic_store(&t.running, MAPPERS);
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < MAPPERS ? mapper : others[i - MAPPERS],
						(void *)i), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	iopt_table_remove_domain(t.iopt, t.always);
	iopt_remove_access(t.iopt, &t.access);
	assert_true(range_tree_empty(&t.iopt->areas));
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(t_pins(t.mem + i * PG), 0);
	iommu_domain_free(t.always);
	iommu_domain_free(t.sometimes);
	t_close(t.buf_fd);
	t_close(t.fd);
}

/* ---- two that map much, of which one has to wait for its pages ---- */

int __real_mm_pin(struct mm *mm, u64 uva, u64 len_bytes, bool write, phys_addr_t *ret_phys);
int __wrap_mm_pin(struct mm *mm, u64 uva, u64 len_bytes, bool write, phys_addr_t *ret_phys);

static struct {
	_Atomic u64 uva; /* pinning from here on waits; 0: nothing does */
	atomic_bool waiting, go_on;
} slow;

int __wrap_mm_pin(struct mm *mm, u64 uva, u64 len_bytes, bool write, phys_addr_t *ret_phys)
{
	if (uva == atomic_load(&slow.uva)) {
		atomic_store(&slow.uva, 0);
		atomic_store(&slow.waiting, true);
		while (!atomic_load(&slow.go_on))
			usleep(100);
	}
	return __real_mm_pin(mm, uva, len_bytes, write, ret_phys);
}

static char *much;
#define MUCH (4ul << 20)

static void *slow_mapper(void *arg)
{
	(void)arg;
	must(!t_map(t.fd, t.as, T_FIXED | T_RW, much, MUCH, T_FLAT_START));
	return NULL;
}

static void much_memory_is_pinned_without_the_lock(void **state)
{
	struct iommu_domain *flat = t_flat();
	pthread_t thread;

	much = t_memory(2 * MUCH);
	t.fd = (int)t_works(t_open());
	t.as = (u32)t_works(t_ioas_alloc(t.fd));
	t_works(iopt_table_add_domain(t_iopt(t.fd, t.as), flat));
	atomic_store(&slow.uva, (uintptr_t)much);
	assert_int_equal(pthread_create(&thread, NULL, slow_mapper, NULL), 0);
	while (!atomic_load(&slow.waiting))
		usleep(100);
	/* It waits for its pages; others map and unmap meanwhile. */
	t_works(t_map(t.fd, t.as, T_FIXED | T_RW, much + MUCH, MUCH, T_FLAT_START + MUCH));
	assert_ptr_equal(t_leads_to(flat, T_FLAT_START + MUCH), much + MUCH);
	assert_null(t_leads_to(flat, T_FLAT_START));
	t_works(t_unmap(t.fd, t.as, T_FLAT_START + MUCH, MUCH));
	atomic_store(&slow.go_on, true);
	pthread_join(thread, NULL);
	assert_ptr_equal(t_leads_to(flat, T_FLAT_START), much);
	assert_int_equal(t_pins(much), 1);

	/* What stands against a mapping is said first, as ever; nothing is left pinned. */
	t_fails(t_map(t.fd, t.as, T_FIXED | T_RW, (void *)PG, MUCH, T_FLAT_START + PG), EEXIST);
	t_fails(t_map(t.fd, t.as, T_FIXED | T_RW, (void *)PG, MUCH, T_FLAT_START + MUCH), EFAULT);
	t_fails(t_map(t.fd, t.as, T_FIXED | T_RW, much + MUCH, MUCH, T_FLAT_START + PG), EEXIST);
	assert_int_equal(t_pins(much + MUCH), 0);
	t_works(t_unmap(t.fd, t.as, 0, UINT64_MAX));
	assert_int_equal(t_pins(much), 0);
	iopt_table_remove_domain(t_iopt(t.fd, t.as), flat);
	iommu_domain_free(flat);
	t_close(t.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T_TEST(all_at_once), T_TEST(much_memory_is_pinned_without_the_lock) };

	t.mem = t_memory(1 << 20);
	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
