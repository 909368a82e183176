/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main_test.c - /dev/iommu: the node, the envelope of each ioctl, the table of objects, mmap().
 */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel/iommufd/iommufd_rig_test.h"

/* All calls, with the size of their struct in this header and the smallest that was ever known. */
static const struct call {
	const char *name;
	unsigned cmd;
	u32 min, size;
} calls[] = {
#define CALL(cmd_, struct_, last_) { #cmd_, cmd_, offsetof(struct struct_, last_) + \
	sizeof(((struct struct_ *)0)->last_), sizeof(struct struct_) }
	CALL(IOMMU_DESTROY, iommu_destroy, id),
	CALL(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id),
	CALL(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas),
	CALL(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova),
	CALL(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment),
	CALL(IOMMU_IOAS_MAP, iommu_ioas_map, iova),
	CALL(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length),
	CALL(IOMMU_OPTION, iommu_option, val64),
	CALL(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova),
	CALL(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved),
	CALL(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
};

/* ---- the node ---- */

static void the_node(void **state)
{
	struct file *file = cdev_open("iommu", O_RDWR);
	char text[64] = "";

	assert_false(IS_ERR(file));
	assert_int_equal(file->mode, S_IFCHR | 0660);
	assert_int_equal(file->rdev, makedev(10, 258));
	assert_string_equal(file->path, "/dev/iommu");
	assert_int_equal(file->f_op->kind, FILE_IOMMUFD);
	assert_null(file->f_op->read);
	assert_null(file->f_op->write);
	fput(file);
	assert_true(kernfs_exists("dev/iommu"));
	assert_int_equal(kernfs_read("sys/class/misc/iommu/dev", text, sizeof(text)), 7);
	assert_string_equal(text, "10:258\n");
	assert_true(kernfs_exists("sys/module/iommufd/parameters/allow_unsafe_interrupts"));
}

/* ---- the envelope ---- */

static void sizes_of_the_header(void **state)
{
	static const struct { unsigned cmd; u32 min, size; } known[] = {
		{ IOMMU_DESTROY, 8, 8 }, { IOMMU_IOAS_ALLOC, 12, 12 }, { IOMMU_IOAS_ALLOW_IOVAS, 24, 24 },
		{ IOMMU_IOAS_COPY, 40, 40 }, { IOMMU_IOAS_IOVA_RANGES, 32, 32 }, { IOMMU_IOAS_MAP, 40, 40 },
		{ IOMMU_IOAS_UNMAP, 24, 24 }, { IOMMU_OPTION, 24, 24 }, { IOMMU_IOAS_MAP_FILE, 40, 40 },
		{ IOMMU_VFIO_IOAS, 12, 12 }, { IOMMU_IOAS_CHANGE_PROCESS, 8, 8 },
	};

	assert_int_equal(ARRAY_SIZE(known), ARRAY_SIZE(calls));
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		assert_int_equal(known[i].cmd, calls[i].cmd);
		assert_int_equal(known[i].min, calls[i].min);
		assert_int_equal(known[i].size, calls[i].size);
	}
}

/* A struct that no call accepts for its content: each field is 0 or names nothing. */
static void each_envelope(void **state)
{
	u8 buf[8192];
	long exact;

	for (const struct call *c = calls; c < calls + ARRAY_SIZE(calls); c++) {
		int fd = (int)t_works(t_open());
		u32 *size = (u32 *)buf;

		print_message("%s\n", c->name);
		t_fails(t_ioctl(fd, c->cmd, NULL), EFAULT);
		t_fails(t_ioctl(fd, c->cmd, T_BAD), EFAULT);
		memset(buf, 0, sizeof(buf));
		for (*size = 0; *size < c->min; ++*size)
			t_fails(t_ioctl(fd, c->cmd, buf), EINVAL);
		*size = c->size;
		exact = t_ioctl(fd, c->cmd, buf);
		assert_true(exact == 0 || exact == -ENOENT || exact == -EINVAL || exact == -ENODEV ||
			    exact == -EOPNOTSUPP);
		/* A newer program's struct, which asks for nothing new. */
		memset(buf, 0, sizeof(buf));
		*size = sizeof(buf);
		assert_int_equal(t_ioctl(fd, c->cmd, buf), exact);
		for (u32 at = c->size; at < sizeof(buf); at += at < c->size + 8 || at > sizeof(buf) - 9 ? 1 : 97) {
			memset(buf, 0, sizeof(buf));
			*size = sizeof(buf);
			buf[at] = 1;
			t_fails(t_ioctl(fd, c->cmd, buf), E2BIG);
		}
		t_close(fd);
	}
}

static void a_struct_at_the_end_of_memory(void **state)
{
	u8 *page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_alloc *cmd = (void *)(page + PAGE_SIZE - sizeof(*cmd));
	int fd = (int)t_works(t_open());

	munmap(page + PAGE_SIZE, PAGE_SIZE);
	cmd->size = sizeof(*cmd);
	t_works(t_ioctl(fd, IOMMU_IOAS_ALLOC, cmd));
	assert_int_equal(cmd->out_ioas_id, 1);
	cmd->size = sizeof(*cmd) + 4;
	t_fails(t_ioctl(fd, IOMMU_IOAS_ALLOC, cmd), EFAULT);
	cmd->size = UINT32_MAX;
	t_fails(t_ioctl(fd, IOMMU_IOAS_ALLOC, cmd), EFAULT);
	/* The answer cannot be written: nothing was made. */
	cmd->size = sizeof(*cmd);
	mprotect(page, PAGE_SIZE, PROT_READ);
	t_fails(t_ioctl(fd, IOMMU_IOAS_ALLOC, cmd), EFAULT);
	mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	t_works(t_ioctl(fd, IOMMU_IOAS_ALLOC, cmd));
	assert_int_equal(cmd->out_ioas_id, 2);
	munmap(page, PAGE_SIZE);
	t_close(fd);
}

static void unknown_requests(void **state)
{
	int fd = (int)t_works(t_open());
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	t_fails(t_ioctl(fd, _IO(';', 0x7f), &cmd), ENOTTY);
	t_fails(t_ioctl(fd, _IO(';', 0xdf), &cmd), ENOTTY);
	t_fails(t_ioctl(fd, _IO(';', 0xff), &cmd), ENOTTY);
	t_fails(t_ioctl(fd, _IO('x', 0x81), &cmd), ENOTTY);
	t_fails(t_ioctl(fd, _IOWR(';', 0x81, int), &cmd), ENOTTY);
	t_fails(t_ioctl(fd, 0x81, &cmd), ENOTTY);
	t_fails(t_ioctl(fd, _IO(';', 0xdf), NULL), ENOTTY);
	t_close(fd);
}

/* ---- objects ---- */

static void numbers(void **state)
{
	struct iommu_ioas_alloc flags = { .size = sizeof(flags), .flags = 1 };
	int fd = (int)t_works(t_open()), other = (int)t_works(t_open());

	for (u32 id = 1; id <= 100; id++)
		assert_int_equal(t_ioas_alloc(fd), id);
	assert_int_equal(t_ioas_alloc(other), 1);
	t_works(t_destroy(fd, 50));
	t_works(t_destroy(fd, 3));
	t_works(t_destroy(fd, 99));
	t_fails(t_destroy(fd, 3), ENOENT);
	t_fails(t_destroy(fd, 0), ENOENT);
	t_fails(t_destroy(fd, 101), ENOENT);
	t_fails(t_destroy(fd, UINT32_MAX), ENOENT);
	t_fails(t_ioctl(fd, IOMMU_IOAS_ALLOC, &flags), EOPNOTSUPP);
	assert_int_equal(t_ioas_alloc(fd), 3);
	assert_int_equal(t_ioas_alloc(fd), 50);
	assert_int_equal(t_ioas_alloc(fd), 99);
	assert_int_equal(t_ioas_alloc(fd), 101);
	t_close(fd);
	assert_int_equal(t_ioas_alloc(other), 2);
	t_close(other);
}

static void who_uses_an_object(void **state)
{
	int fd = (int)t_works(t_open());
	struct iommufd_ctx *ictx = t_ctx(fd);
	struct iommufd_object *obj;
	u32 id = (u32)t_works(t_ioas_alloc(fd));

	explain_begin();
	t_fails(PTR_ERR(iommufd_get_object(ictx, id, IOMMUFD_OBJ_DEVICE)), ENOENT);
	t_fails(PTR_ERR(iommufd_get_object(ictx, id + 1, IOMMUFD_OBJ_ANY)), ENOENT);
	obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_IOAS);
	assert_false(IS_ERR(obj));
	iommufd_object_hold(obj);
	iommufd_put_object(ictx, obj);
	t_fails(t_destroy(fd, id), EBUSY);
	iommufd_object_drop(obj);
	t_works(t_destroy(fd, id));

	/* The last user of an automatic object takes it along. */
	id = (u32)t_works(t_ioas_alloc(fd));
	obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_ANY);
	iommufd_object_hold(obj);
	iommufd_object_hold(obj);
	iommufd_put_object(ictx, obj);
	iommufd_object_drop_and_try_destroy(ictx, obj);
	t_fails(t_destroy(fd, id), EBUSY);
	iommufd_object_drop_and_try_destroy(ictx, obj);
	t_fails(t_destroy(fd, id), ENOENT);

	/* A driver's own object; with a tombstone the number stays taken. */
	id = (u32)t_works(t_ioas_alloc(fd));
	obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_ANY);
	iommufd_put_object(ictx, obj);
	assert_ptr_equal(iommufd_get_object(ictx, obj->id, IOMMUFD_OBJ_ANY), obj);
	iommufd_object_tombstone_user(ictx, obj);
	t_fails(t_destroy(fd, id), ENOENT);
	assert_int_equal(t_ioas_alloc(fd), id + 1);
	t_close(fd);
}

static void *destroy_thread(void *arg)
{
	struct { int fd; u32 id; } *what = arg;

	return (void *)t_destroy(what->fd, what->id);
}

static void destroying_waits_for_ioctls(void **state)
{
	struct { int fd; u32 id; } what = { .fd = (int)t_works(t_open()) };
	struct iommufd_ctx *ictx = t_ctx(what.fd);
	struct iommufd_object *obj;
	pthread_t thread;
	void *ret;

	for (int round = 0; round < 20; round++) {
		what.id = (u32)t_works(t_ioas_alloc(what.fd));
		obj = iommufd_get_object(ictx, what.id, IOMMUFD_OBJ_IOAS);
		assert_int_equal(pthread_create(&thread, NULL, destroy_thread, &what), 0);
		usleep(round % 2 ? 2000 : 0);
		assert_int_equal(obj->id, what.id); /* still there */
		iommufd_put_object(ictx, obj);
		pthread_join(thread, &ret);
		assert_null(ret);
	}
	t_close(what.fd);
}

static void contexts_for_drivers(void **state)
{
	int fd = (int)t_works(t_open()), memfd = memfd_create("x", 0);
	struct iommufd_ctx *ictx, *again;
	struct iommufd_object *obj;

	explain_begin();
	t_fails(PTR_ERR(iommufd_ctx_from_fd(-1)), EBADF);
	t_fails(PTR_ERR(iommufd_ctx_from_fd(memfd)), EBADFD);
	close(memfd);
	t_fails(PTR_ERR(iommufd_ctx_from_fd(memfd)), EBADF);
	ictx = iommufd_ctx_from_fd(fd);
	assert_false(IS_ERR(ictx));
	again = iommufd_ctx_get(ictx);
	assert_ptr_equal(again, ictx);
	iommufd_ctx_put(again);
	iommufd_ctx_put(NULL);
	t_works(t_ioas_alloc(fd));
	t_close(fd);
	/* The context goes on without its descriptor. */
	obj = iommufd_get_object(ictx, 1, IOMMUFD_OBJ_IOAS);
	assert_false(IS_ERR(obj));
	iommufd_put_object(ictx, obj);
	iommufd_ctx_put(ictx);
}

/* ---- mmap ---- */

static long try_mmap(int fd, u64 off, u64 pages, int prot, int flags, struct vm_area **ret_vma)
{
	struct file *file = fget(fd);
	struct vm_area *vma = vma_alloc(file, 0x10000, pages * PAGE_SIZE, off, prot);
	long ret;

	explain_begin();
	ret = file->f_op->mmap(file, vma, flags);
	if (ret || !ret_vma)
		vma_put(vma);
	else
		*ret_vma = vma;
	fput(file);
	return ret;
}

static void nothing_to_map(void **state)
{
	int fd = (int)t_works(t_open());

	t_fails(try_mmap(fd, 0, 1, PROT_READ | PROT_WRITE, MAP_SHARED, NULL), ENXIO);
	t_fails(try_mmap(fd, PAGE_SIZE, 1, PROT_READ, MAP_SHARED, NULL), ENXIO);
	t_fails(try_mmap(fd, 0, 1, PROT_READ, MAP_PRIVATE, NULL), EINVAL);
	t_fails(try_mmap(fd, 0, 1, PROT_READ | PROT_EXEC, MAP_SHARED, NULL), EPERM);
	t_close(fd);
}

static void pages_of_an_object(void **state)
{
	int fd = (int)t_works(t_open()), memfd = memfd_create("x", 0), got_fd, prot;
	struct iommufd_ctx *ictx = t_ctx(fd);
	u32 id = (u32)t_works(t_ioas_alloc(fd)), word = 0x12345678;
	struct iommufd_object *owner = iommufd_get_object(ictx, id, IOMMUFD_OBJ_ANY);
	struct vm_area *vma, *part;
	u64 a, b, c, off, len;

	iommufd_put_object(ictx, owner);
	assert_int_equal(ftruncate(memfd, 8 * PAGE_SIZE), 0);
	t_fails(iommufd_mmap_register(ictx, owner, memfd, 0, 0, &a), EINVAL);
	t_fails(iommufd_mmap_register(ictx, owner, memfd, 1, PAGE_SIZE, &a), EINVAL);
	t_works(iommufd_mmap_register(ictx, owner, memfd, 0, 2 * PAGE_SIZE, &a));
	t_works(iommufd_mmap_register(ictx, owner, memfd, 2 * PAGE_SIZE, PAGE_SIZE, &b));
	t_works(iommufd_mmap_register(ictx, owner, memfd, 4 * PAGE_SIZE, 2 * PAGE_SIZE, &c));
	assert_true(a + 2 * PAGE_SIZE <= b && b + PAGE_SIZE <= c);
	iommufd_mmap_unregister(ictx, b);
	t_works(iommufd_mmap_register(ictx, owner, memfd, 2 * PAGE_SIZE, PAGE_SIZE, &off));
	assert_int_equal(off, b);

	t_fails(try_mmap(fd, c, 1, PROT_READ, MAP_SHARED, NULL), ENXIO);
	t_fails(try_mmap(fd, c, 4, PROT_READ, MAP_SHARED, NULL), ENXIO);
	t_fails(try_mmap(fd, c + PAGE_SIZE, 1, PROT_READ, MAP_SHARED, NULL), ENXIO);
	t_works(try_mmap(fd, c, 2, PROT_READ | PROT_WRITE, MAP_SHARED, &vma));
	t_fails(t_destroy(fd, id), EBUSY);
	vma->ops->direct(vma, c + PAGE_SIZE, &got_fd, &off, &prot, &len);
	assert_int_equal(got_fd, memfd);
	assert_int_equal(off, 5 * PAGE_SIZE);
	assert_int_equal(len, PAGE_SIZE);
	assert_int_equal(prot, PROT_READ | PROT_WRITE);
	assert_int_equal(vma->ops->access(vma, c + 8, &word, 4, true), 0);
	word = 0;
	assert_int_equal(pread(memfd, &word, 4, 4 * PAGE_SIZE + 8), 4);
	assert_int_equal(word, 0x12345678);
	word = 0;
	assert_int_equal(vma->ops->access(vma, c + 8, &word, 4, false), 0);
	assert_int_equal(word, 0x12345678);
	assert_int_equal(ftruncate(memfd, PAGE_SIZE), 0);
	assert_int_equal(vma->ops->access(vma, c + 8, &word, 4, false), -EFAULT);

	/* A mapping that is cut uses the object until all of it has gone. */
	vma_insert(mm_self(), vma);
	assert_int_equal(vma_remove(mm_self(), vma->start, PAGE_SIZE), 0);
	t_fails(t_destroy(fd, id), EBUSY);
	part = vma_find_first(mm_self(), 0, ~0ull);
	assert_non_null(part);
	off = part->start;
	vma_put(part);
	assert_int_equal(vma_remove(mm_self(), off, PAGE_SIZE), 0);
	iommufd_mmap_unregister(ictx, a);
	iommufd_mmap_unregister(ictx, b);
	iommufd_mmap_unregister(ictx, c);
	t_works(t_destroy(fd, id));
	t_close(fd);
	close(memfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_TEST(the_node),
		T_TEST(sizes_of_the_header),
		T_TEST(each_envelope),
		T_TEST(a_struct_at_the_end_of_memory),
		T_TEST(unknown_requests),
		T_TEST(numbers),
		T_TEST(who_uses_an_object),
		T_TEST(destroying_waits_for_ioctls),
		T_TEST(contexts_for_drivers),
		T_TEST(nothing_to_map),
		T_TEST(pages_of_an_object),
	};

	return cmocka_run_group_tests(tests, t_machine, t_machine_end);
}
