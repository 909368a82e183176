/* SPDX-License-Identifier: BSD-3-Clause */
/* selftest_access.c - access files; see selftest_access.h. */
#include "kernel/iommufd/selftest_access.h"

#include <fcntl.h>
#include <string.h>

#include "kernel/fs/file.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

typedef unsigned long long ull;

#define ACCESS_BYTES_MAX (16u << 20)

struct mock_item {
	TAILQ_ENTRY(mock_item) node;
	u32 id;
	u64 iova, length;
};
TAILQ_HEAD(mock_items, mock_item);

struct mock_access {
	struct iommufd_access *access;	/* immutable once the file is published */
	bool pins;			/* immutable */
	struct mutex lock;		/* LOCK_IOMMUFD_MOCK: what follows */
	struct mock_items items;
	u32 next_id;
};

int mock_same_memory(phys_addr_t phys, u64 uptr)
{
	u64 host = (u64)(uintptr_t)phys_host_ptr(phys);
	u8 byte;

	if (copy_from_user(&byte, (const void __user *)(uintptr_t)uptr, 1))
		return fail(-EFAULT, "there is no memory at 0x%llx to compare with", (ull)uptr);
	if (!host || (host ^ uptr) & ~PAGE_MASK)
		return 0;
	return mm_same_page(current_mm(), host, uptr);
}

/* ---- items ---- */

/* Unpin and free what is in the list. */
static void drop_items(struct mock_access *ma, struct mock_items *items)
{
	struct mock_item *item;

	while ((item = TAILQ_FIRST(items))) {
		TAILQ_REMOVE(items, item, node);
		iommufd_access_unpin_pages(ma->access, item->iova, item->length);
		kfree(item);
	}
}

/* The memory at [iova, iova+len) goes, or the access does. */
static void mock_unmap(void *data, u64 iova, u64 len_bytes)
{
	struct mock_items gone = TAILQ_HEAD_INITIALIZER(gone);
	struct mock_access *ma = data;
	struct mock_item *item, *next;
	u64 last = iova + len_bytes - 1;

	mutex_lock(&ma->lock);
	for (item = TAILQ_FIRST(&ma->items); item; item = next) {
		next = TAILQ_NEXT(item, node);
		if (item->iova > last || item->iova + item->length - 1 < iova)
			continue;
		TAILQ_REMOVE(&ma->items, item, node);
		TAILQ_INSERT_TAIL(&gone, item, node);
	}
	mutex_unlock(&ma->lock);
	drop_items(ma, &gone);
}

static const struct iommufd_access_ops pinning_ops = { .needs_pin_pages = true, .unmap = mock_unmap };
static const struct iommufd_access_ops copying_ops = { .needs_pin_pages = false };

/* ---- the file ---- */

static void access_release(struct file *file)
{
	struct mock_access *ma = file->private_data;

	if (ma->access) {
		mock_unmap(ma, 0, ~0ull);
		iommufd_access_destroy(ma->access);
	}
	mutex_destroy(&ma->lock);
	kfree(ma);
}

static const struct file_operations access_fops = { .kind = FILE_OTHER, .shared = true, .release = access_release };

/* The file behind a descriptor, with a reference; ERR_PTR(-EBADFD). */
static struct file *get_access_file(u32 fd)
{
	struct file *file = fget((int)fd);

	if (file && file->f_op == &access_fops)
		return file;
	fput(file);
	return ERR_PTR(fail(-EBADFD, "descriptor %d is no access file", (int)fd));
}

static struct file *make_file(bool pins)
{
	struct mock_access *ma = kzalloc(sizeof(*ma));
	struct file *file;

	if (!ma)
		return ERR_PTR(fail(-ENOMEM, "no memory for an access file"));
	ma->pins = pins;
	TAILQ_INIT(&ma->items);
	mutex_init(&ma->lock, LOCK_IOMMUFD_MOCK);
	file = file_alloc(&access_fops, ma, "anon_inode:[iommufd_test_staccess]", O_RDWR);
	if (file)
		return file;
	mutex_destroy(&ma->lock);
	kfree(ma);
	return ERR_PTR(fail(-ENOMEM, "no memory for an access file"));
}

static int create_access(struct iommufd_ucmd *ucmd, struct file *file)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_access *ma = file->private_data;
	struct iommufd_access *access;
	u32 id;

	access = iommufd_access_create(ucmd->ictx, ma->pins ? &pinning_ops : &copying_ops, ma, &id);
	if (IS_ERR(access))
		return (int)PTR_ERR(access);
	ma->access = access;
	return iommufd_access_attach(access, cmd->id);
}

int mock_access_create(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->create_access.flags;
	struct file *file;
	int err, fd;

	if (flags & ~MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return fail(-EOPNOTSUPP, "flags 0x%x: only bit 0 is known", flags);
	file = make_file(flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	err = create_access(ucmd, file);
	fd = err ? err : fd_publish(file, true);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	cmd->create_access.out_access_fd = (u32)fd;
	err = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (err)
		fd_unpublish(fd);
	return err;
}

/* ---- pins ---- */

/* Are the pinned pages those that the program sees at @uptr? */
static int compare(const phys_addr_t *phys, u64 length, u64 uptr)
{
	u64 pages = (length + PAGE_SIZE - 1) >> PAGE_SHIFT;

	for (u64 i = 0; i < pages; i++) {
		u64 user = (uptr & PAGE_MASK) + i * PAGE_SIZE; /* only pages are compared */
		int same = mock_same_memory(phys[i] & ~(u64)(PAGE_SIZE - 1), user);

		if (same < 0)
			return same;
		if (!same)
			return fail(-EBADE, "page %llu of the pinned memory is not the one at 0x%llx", (ull)i, (ull)user);
	}
	return 0;
}

/* Note what is pinned.  On failure it is unpinned. */
static int add_item(struct mock_access *ma, u64 iova, u64 length, u32 *ret_id)
{
	struct mock_item *item = kzalloc(sizeof(*item));

	if (!item) {
		iommufd_access_unpin_pages(ma->access, iova, length);
		return fail(-ENOMEM, "no memory to note what is pinned");
	}
	item->iova = iova;
	item->length = length;
	mutex_lock(&ma->lock);
	item->id = *ret_id = ma->next_id++;
	TAILQ_INSERT_TAIL(&ma->items, item, node);
	mutex_unlock(&ma->lock);
	return 0;
}

static int destroy_item(struct mock_access *ma, u32 id)
{
	struct mock_items gone = TAILQ_HEAD_INITIALIZER(gone);
	struct mock_item *item;

	mutex_lock(&ma->lock);
	TAILQ_FOREACH(item, &ma->items, node)
		if (item->id == id)
			break;
	if (item) {
		TAILQ_REMOVE(&ma->items, item, node);
		TAILQ_INSERT_TAIL(&gone, item, node);
	}
	mutex_unlock(&ma->lock);
	drop_items(ma, &gone);
	return item ? 0 : fail(-ENOENT, "item %u is not pinned (any more)", id);
}

static int pin(struct mock_access *ma, struct iommu_test_cmd *cmd, phys_addr_t *phys)
{
	u64 iova = cmd->access_pages.iova, length = cmd->access_pages.length, uptr = cmd->access_pages.uptr;
	bool write = cmd->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE;
	int err = iommufd_access_pin_pages(ma->access, iova, length, phys, write ? IOMMUFD_ACCESS_RW_WRITE : 0);

	if (err)
		return err;
	/* Noted first, so that an unmap that comes now finds it. */
	err = add_item(ma, iova, length, &cmd->access_pages.out_access_pages_id);
	if (err || !uptr)
		return err;
	err = compare(phys, length, uptr);
	if (err)
		(void)destroy_item(ma, cmd->access_pages.out_access_pages_id);
	return err;
}

static int check_pages(const struct iommu_test_cmd *cmd)
{
	if (cmd->access_pages.length > ACCESS_BYTES_MAX)
		return fail(-ENOMEM, "length 0x%llx is more than 0x%x, the most that is pinned at once",
			    (ull)cmd->access_pages.length, ACCESS_BYTES_MAX);
	if (cmd->access_pages.flags & ~MOCK_FLAGS_ACCESS_WRITE)
		return fail(-EOPNOTSUPP, "flags 0x%x: only bit 0 is known", cmd->access_pages.flags);
	return 0;
}

int mock_access_pages(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_access *ma;
	phys_addr_t *phys;
	struct file *file;
	int err = check_pages(cmd);

	if (err)
		return err;
	file = get_access_file(cmd->id);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	ma = file->private_data;
	phys = kvcalloc((cmd->access_pages.length >> PAGE_SHIFT) + 2, sizeof(*phys));
	if (!ma->pins)
		err = fail(-EOPNOTSUPP, "the access was made without the right to pin");
	else if (!phys)
		err = fail(-ENOMEM, "no memory for a list of pages");
	else
		err = pin(ma, cmd, phys);
	kvfree(phys);
	if (!err) {
		err = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
		if (err)
			(void)destroy_item(ma, cmd->access_pages.out_access_pages_id);
	}
	fput(file);
	return err;
}

int mock_access_destroy_pages(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct file *file = get_access_file(cmd->id);
	int err;

	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	err = destroy_item(file->private_data, cmd->destroy_access_pages.access_pages_id);
	fput(file);
	return err;
}

/* ---- bytes ---- */

static int rw(struct mock_access *ma, const struct iommu_test_cmd *cmd, void *buf)
{
	void __user *user = (void __user *)(uintptr_t)cmd->access_rw.uptr;
	bool write = cmd->access_rw.flags & MOCK_FLAGS_ACCESS_WRITE;
	size_t length = cmd->access_rw.length;
	int err = 0;

	if (write)
		err = copy_from_user(buf, user, length);
	if (err)
		return fail(err, "%zu bytes at %p cannot be read", length, user);
	err = iommufd_access_rw(ma->access, cmd->access_rw.iova, buf, length, cmd->access_rw.flags);
	if (err || write)
		return err;
	return copy_to_user(user, buf, length) ? fail(-EFAULT, "%zu bytes at %p cannot be written", length, user) : 0;
}

int mock_access_rw(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 known = MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_RW_SLOW_PATH;
	struct file *file;
	void *buf;
	int err;

	if (cmd->access_rw.length > ACCESS_BYTES_MAX)
		return fail(-ENOMEM, "length 0x%llx is more than 0x%x, the most that is copied at once",
			    (ull)cmd->access_rw.length, ACCESS_BYTES_MAX);
	if (cmd->access_rw.flags & ~known)
		return fail(-EOPNOTSUPP, "flags 0x%x: 0x%x is all that is known", cmd->access_rw.flags, known);
	file = get_access_file(cmd->id);
	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	buf = kvzalloc(cmd->access_rw.length + 1);
	err = buf ? rw(file->private_data, cmd, buf) : fail(-ENOMEM, "no memory for the bytes");
	kvfree(buf);
	fput(file);
	return err;
}

int mock_access_replace_ioas(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct file *file = get_access_file(cmd->id);
	int err;

	if (IS_ERR(file))
		return (int)PTR_ERR(file);
	err = iommufd_access_replace(((struct mock_access *)file->private_data)->access,
				     cmd->access_replace_ioas.ioas_id);
	fput(file);
	return err;
}
