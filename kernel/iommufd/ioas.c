/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioas.c - the ioctls of an I/O address space.
 *
 * Each takes its struct apart, checks what needs no look at the address space, and calls the core in
 * io_pagetable.c.
 */
#include <stdlib.h>

#include "kernel/fs/dma-buf.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommufd/iommufd_private.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"

#define HEX(x) (unsigned long long)(x)

void iommufd_ioas_destroy(struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = to_ioas(obj);

	assert(TAILQ_EMPTY(&ioas->hwpt_list));
	iopt_destroy_table(&ioas->iopt);
	mutex_destroy(&ioas->mutex);
}

static void ioas_init(struct iommufd_ioas *ioas)
{
	iopt_init_table(&ioas->iopt);
	mutex_init(&ioas->mutex, LOCK_IOMMUFD_IOAS);
	TAILQ_INIT(&ioas->hwpt_list);
}

struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_object_alloc(ictx, ioas, IOMMUFD_OBJ_IOAS);

	if (!IS_ERR(ioas))
		ioas_init(ioas);
	return ioas;
}

struct iommufd_ioas *iommufd_get_ioas(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_IOAS);

	return IS_ERR(obj) ? ERR_PTR(PTR_ERR(obj)) : to_ioas(obj);
}

int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;

	if (cmd->flags)
		return fail(-EOPNOTSUPP, "flags %#x: none are known", cmd->flags);
	ioas = iommufd_object_alloc_ucmd(ucmd, ioas, IOMMUFD_OBJ_IOAS);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ioas_init(ioas);
	cmd->out_ioas_id = ioas->obj.id;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* ---- which IOVAs can be used ---- */

struct range_list {
	struct iommu_iova_range __user *to;
	u32 room, count;
};

static int report_range(void *arg, u64 start, u64 last)
{
	const struct iommu_iova_range range = { .start = start, .last = last };
	struct range_list *list = arg;

	if (list->count < list->room && copy_to_user(&list->to[list->count], &range, sizeof(range)))
		return fail(-EFAULT, "allowed_iovas at %p cannot be written", list->to);
	list->count++;
	return 0;
}

int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	struct range_list list = { .to = (void __user *)(uintptr_t)cmd->allowed_iovas, .room = cmd->num_iovas };
	struct iommufd_ioas *ioas;
	int ret;

	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is %#x, not 0", cmd->__reserved);
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	mutex_lock(&ioas->iopt.lock);
	ret = iopt_for_each_usable_locked(&ioas->iopt, &list, report_range);
	cmd->out_iova_alignment = ioas->iopt.iova_alignment;
	mutex_unlock(&ioas->iopt.lock);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	cmd->num_iovas = list.count;
	if (!ret)
		ret = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (!ret && list.count > list.room)
		ret = fail(-EMSGSIZE, "there are %u ranges, and room for %u", list.count, list.room);
	return ret;
}

static int cmp_allowed(const void *a, const void *b)
{
	const struct iopt_allowed *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* What a program may promise itself; each range costs 16 bytes here. */
#define MAX_ALLOWED (1u << 20)

static int load_range(struct iopt_allowed *ret, const struct iommu_iova_range __user *from)
{
	struct iommu_iova_range range;

	if (copy_from_user(&range, from, sizeof(range)))
		return fail(-EFAULT, "a range of allowed_iovas at %p cannot be read", from);
	if (range.start >= range.last)
		return fail(-EINVAL, "[%#llx-%#llx] is no range of two bytes or more", HEX(range.start),
			    HEX(range.last));
	*ret = (struct iopt_allowed){ .start = range.start, .last = range.last };
	return 0;
}

/* Read the program's list, one by one, so that its length costs nothing that is not there. */
static int load_ranges(const struct iommu_iova_range __user *from, u32 count, struct iopt_allowed **ret_ranges)
{
	struct iopt_allowed *ranges = NULL, *more;
	u32 room = 0, i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++) {
		if (i == MAX_ALLOWED) {
			ret = fail(-ENOMEM, "%u ranges are more than the %u there may be", count, MAX_ALLOWED);
			break;
		}
		if (i == room) {
			room = room ? 2 * room : 8;
			more = krealloc_array(ranges, room, sizeof(*more));
			if (!more) {
				ret = fail(-ENOMEM, "no memory for %u ranges", room);
				break;
			}
			ranges = more;
		}
		ret = load_range(&ranges[i], &from[i]);
	}
	if (!ret && count)
		qsort(ranges, count, sizeof(*ranges), cmp_allowed);
	for (i = 1; i < count && !ret; i++) {
		if (ranges[i].start <= ranges[i - 1].last)
			ret = fail(-EINVAL, "[%#llx-%#llx] and [%#llx-%#llx] overlap", HEX(ranges[i - 1].start),
				   HEX(ranges[i - 1].last), HEX(ranges[i].start), HEX(ranges[i].last));
	}
	if (ret) {
		kfree(ranges);
		return ret;
	}
	*ret_ranges = ranges;
	return 0;
}

int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd)
{
	const struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	struct iopt_allowed *ranges = NULL;
	struct iommufd_ioas *ioas;
	int ret;

	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is %#x, not 0", cmd->__reserved);
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = load_ranges((void __user *)(uintptr_t)cmd->allowed_iovas, cmd->num_iovas, &ranges);
	if (!ret) {
		ret = iopt_set_allow_iova(&ioas->iopt, ranges, cmd->num_iovas);
		if (ret)
			kfree(ranges);
	}
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return ret;
}

/* ---- map and copy ---- */

/* The checks that MAP, MAP_FILE and COPY have in common. */
static int check_map(u32 flags, u64 iova, u64 length)
{
	const u32 known = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE;

	if (flags & ~known)
		return fail(-EOPNOTSUPP, "flags %#x: bits %#x are unknown", flags, flags & ~known);
	if (iova == UINT64_MAX || length == UINT64_MAX)
		return fail(-EOVERFLOW, "iova %#llx or length %#llx is 2^64-1", HEX(iova), HEX(length));
	if (!(flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return fail(-EINVAL, "flags %#x: neither READABLE nor WRITEABLE is set", flags);
	return 0;
}

static u8 prot_of(u32 flags)
{
	return IOMMU_CACHE | (flags & IOMMU_IOAS_MAP_READABLE ? IOMMU_READ : 0) |
	       (flags & IOMMU_IOAS_MAP_WRITEABLE ? IOMMU_WRITE : 0);
}

static unsigned alloc_of(u32 flags)
{
	return flags & IOMMU_IOAS_MAP_FIXED_IOVA ? 0 : IOPT_ALLOC_IOVA;
}

int iommufd_ioas_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	struct iopt_pages *pages;
	u64 iova = cmd->iova;
	int ret;

	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is %#x, not 0", cmd->__reserved);
	ret = check_map(cmd->flags, cmd->iova, cmd->length);
	if (ret)
		return ret;
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	pages = iopt_alloc_user_pages(cmd->user_va, cmd->length, cmd->flags & IOMMU_IOAS_MAP_WRITEABLE,
				      iommufd_account_mode(ucmd->ictx));
	if (IS_ERR(pages))
		ret = PTR_ERR(pages);
	else
		ret = iopt_map_one(&ioas->iopt, pages, cmd->user_va & ~PAGE_MASK, cmd->length, &iova,
				   prot_of(cmd->flags), alloc_of(cmd->flags));
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	cmd->iova = iova;
	return ret ? ret : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* A dma-buf, or a file that turns out to be a memfd when it is pinned. */
static struct iopt_pages *file_pages(const struct iommufd_ctx *ictx, const struct iommu_ioas_map_file *cmd)
{
	const bool writable = cmd->flags & IOMMU_IOAS_MAP_WRITEABLE;
	struct dma_buf *buf;
	struct file *file;

	if (!cmd->length)
		return ERR_PTR(fail(-EINVAL, "length is 0"));
	file = cmd->fd < 0 ? NULL : fget(cmd->fd);
	buf = file ? dma_buf_get(cmd->fd) : NULL;
	fput(file);
	if (file && !IS_ERR(buf))
		return iopt_alloc_dmabuf_pages(buf, cmd->start, cmd->length, writable);
	return iopt_alloc_file_pages(cmd->fd, cmd->start, cmd->length, writable, iommufd_account_mode(ictx));
}

int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	struct iopt_pages *pages;
	u64 iova = cmd->iova;
	int ret = check_map(cmd->flags, cmd->iova, cmd->length);

	if (ret)
		return ret;
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	pages = file_pages(ucmd->ictx, cmd);
	if (IS_ERR(pages))
		ret = PTR_ERR(pages);
	else
		ret = iopt_map_one(&ioas->iopt, pages, cmd->start & ~PAGE_MASK, cmd->length, &iova,
				   prot_of(cmd->flags), alloc_of(cmd->flags));
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	cmd->iova = iova;
	return ret ? ret : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

static int get_source(struct iommufd_ucmd *ucmd, struct iopt_pieces *ret_pieces)
{
	const struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas = iommufd_get_ioas(ucmd->ictx, cmd->src_ioas_id);
	int ret;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = iopt_get_pages(&ioas->iopt, cmd->src_iova, cmd->length, ret_pieces);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return ret;
}

int iommufd_ioas_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct iopt_pieces pieces;
	struct iommufd_ioas *ioas;
	u64 iova = cmd->dst_iova;
	int ret = check_map(cmd->flags, max(cmd->dst_iova, cmd->src_iova), cmd->length); /* whichever is 2^64-1 */

	if (ret)
		return ret;
	ret = get_source(ucmd, &pieces);
	if (ret)
		return ret;
	ioas = iommufd_get_ioas(ucmd->ictx, cmd->dst_ioas_id);
	if (IS_ERR(ioas)) {
		iopt_free_pieces(&pieces);
		return PTR_ERR(ioas);
	}
	ret = iopt_map_pages(&ioas->iopt, &pieces, cmd->length, &iova, prot_of(cmd->flags), alloc_of(cmd->flags));
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	iopt_free_pieces(&pieces);
	cmd->dst_iova = iova;
	return ret ? ret : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* ---- unmap ---- */

static int unmap(struct io_pagetable *iopt, u64 iova, u64 length, u64 *ret_bytes)
{
	int ret;

	if (!iova && length == UINT64_MAX)
		return iopt_unmap_all(iopt, ret_bytes);
	if (iova == UINT64_MAX || length == UINT64_MAX)
		return fail(-EOVERFLOW, "iova %#llx or length %#llx is 2^64-1 (all is 0 and 2^64-1)", HEX(iova),
			    HEX(length));
	ret = iopt_unmap_iova(iopt, iova, length, ret_bytes);
	if (!ret && !*ret_bytes)
		return fail(-ENOENT, "nothing is mapped in [%#llx-%#llx]", HEX(iova), HEX(iova + length - 1));
	return ret;
}

int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	u64 bytes;
	int ret;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ret = unmap(&ioas->iopt, cmd->iova, cmd->length, &bytes);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	if (ret)
		return ret;
	cmd->length = bytes;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* ---- another process takes over ---- */

/* The next IOAS behind *@id, with a shortterm reference; NULL. */
static struct iommufd_ioas *next_ioas(struct iommufd_ctx *ictx, u32 *id)
{
	struct iommufd_object *obj = iommufd_next_object(ictx, *id, IOMMUFD_OBJ_IOAS);

	if (!obj)
		return NULL;
	*id = obj->id;
	return to_ioas(obj);
}

int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd)
{
	const struct iommu_ioas_change_process *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct mm *mm = current_mm();
	struct iommufd_ioas *ioas;
	u32 id = 0;
	int ret = 0;

	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is %#x, not 0", cmd->__reserved);
	while (!ret && (ioas = next_ioas(ictx, &id))) {
		ret = iopt_change_process(&ioas->iopt, mm);
		iommufd_put_object(ictx, &ioas->obj);
	}
	id = 0;
	while ((ioas = next_ioas(ictx, &id))) {
		iopt_settle_process(&ioas->iopt, ret);
		iommufd_put_object(ictx, &ioas->obj);
	}
	return ret;
}

/* ---- options ---- */

static int bad_op(u16 op)
{
	return fail(-EOPNOTSUPP, "op %u is neither SET (0) nor GET (1)", op);
}

static int bad_value(u64 value)
{
	return fail(-EINVAL, "val64 is %#llx, this option is 0 or 1", HEX(value));
}

static int option_rlimit_mode(struct iommu_option *cmd, struct iommufd_ctx *ictx)
{
	int ret = 0;

	if (cmd->object_id)
		return fail(-EOPNOTSUPP, "the option RLIMIT_MODE is not an object's: object_id must be 0");
	if (cmd->op != IOMMU_OPTION_OP_SET && cmd->op != IOMMU_OPTION_OP_GET)
		return bad_op(cmd->op);
	mutex_lock(&ictx->objects_lock);
	if (cmd->op == IOMMU_OPTION_OP_GET)
		cmd->val64 = ictx->process_accounting;
	else if (ictx->nr_objects)
		ret = fail(-EBUSY, "the iommufd has %u objects: the option comes before the first", ictx->nr_objects);
	else if (cmd->val64 > 1)
		ret = bad_value(cmd->val64);
	else
		ictx->process_accounting = cmd->val64;
	mutex_unlock(&ictx->objects_lock);
	return ret;
}

static int set_huge_pages(struct io_pagetable *iopt, u64 value)
{
	if (value > 1)
		return bad_value(value);
	if (!value)
		return iopt_disable_large_pages(iopt);
	iopt_enable_large_pages(iopt);
	return 0;
}

static int option_huge_pages(struct iommu_option *cmd, struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = iommufd_get_ioas(ictx, cmd->object_id);
	int ret = 0;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (cmd->op == IOMMU_OPTION_OP_GET) {
		mutex_lock(&ioas->iopt.lock);
		cmd->val64 = !ioas->iopt.disable_large_pages;
		mutex_unlock(&ioas->iopt.lock);
	} else if (cmd->op == IOMMU_OPTION_OP_SET) {
		ret = set_huge_pages(&ioas->iopt, cmd->val64);
	} else {
		ret = bad_op(cmd->op);
	}
	iommufd_put_object(ictx, &ioas->obj);
	return ret;
}

int iommufd_option(struct iommufd_ucmd *ucmd)
{
	struct iommu_option *cmd = ucmd->cmd;
	int ret;

	if (cmd->__reserved)
		return fail(-EOPNOTSUPP, "__reserved is %#x, not 0", cmd->__reserved);
	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		ret = option_rlimit_mode(cmd, ucmd->ictx);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		ret = option_huge_pages(cmd, ucmd->ictx);
		break;
	default:
		return fail(-EOPNOTSUPP, "option %u is unknown", cmd->option_id);
	}
	return ret ? ret : iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
