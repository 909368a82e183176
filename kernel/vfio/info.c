/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - what the info ioctls and SET_IRQS of all bus drivers have in common.
 *
 * An info ioctl answers with a fixed structure and, behind it, a chain of capabilities.  The chain is
 * built first with offsets from its own start; shifting makes them offsets from the structure's.  A
 * caller whose argsz has no room for it gets the structure alone, with argsz set to what is needed:
 * that is no error.
 */
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/mm/mm.h"
#include "kernel/vfio/vfio.h"

static struct vfio_info_cap_header *last_cap(struct vfio_info_cap *caps)
{
	struct vfio_info_cap_header *header = caps->buf;

	while (header->next)
		header = (void *)((char *)caps->buf + header->next);
	return header;
}

int vfio_info_add_capability(struct vfio_info_cap *caps, const struct vfio_info_cap_header *cap, size_t size)
{
	const size_t at = caps->size;
	char *buf = krealloc(caps->buf, at + ALIGN_UP(size, 8));
	struct vfio_info_cap_header *added;

	if (!buf) {
		kfree(caps->buf);
		*caps = (struct vfio_info_cap){ 0 };
		return fail(-ENOMEM, "no memory for a capability of %zu bytes", size);
	}
	caps->buf = buf;
	if (at)
		last_cap(caps)->next = (u32)at;
	memset(buf + at, 0, ALIGN_UP(size, 8));
	memcpy(buf + at, cap, size);
	added = (void *)(buf + at);
	added->next = 0;
	caps->size = at + ALIGN_UP(size, 8);
	return 0;
}

void vfio_info_cap_shift(struct vfio_info_cap *caps, size_t offset)
{
	struct vfio_info_cap_header *header = caps->buf;
	u32 next;

	if (!caps->size)
		return;
	for (;;) {
		next = header->next;
		if (!next)
			return;
		header->next = next + (u32)offset;
		header = (void *)((char *)caps->buf + next);
	}
}

int vfio_info_cap_finish(void __user *arg, void *info, size_t info_len, u32 argsz, u32 *argsz_field,
			 u32 *cap_offset_field, struct vfio_info_cap *caps)
{
	int ret = 0;

	if (caps->size) {
		/* Capabilities stand behind the whole structure, whose last field is the offset or follows it. */
		if (argsz < info_len + caps->size) {
			*argsz_field = (u32)(info_len + caps->size);
			*cap_offset_field = 0;
		} else {
			vfio_info_cap_shift(caps, info_len);
			*cap_offset_field = (u32)info_len;
			ret = copy_to_user((char *)arg + info_len, caps->buf, caps->size);
		}
	}
	if (!ret)
		ret = copy_to_user(arg, info, min((size_t)argsz, info_len));
	kfree(caps->buf);
	*caps = (struct vfio_info_cap){ 0 };
	return ret ? fail(-EFAULT, "the answer at %p cannot be written", arg) : 0;
}

static int irq_data_size(const struct vfio_irq_set *hdr)
{
	switch (hdr->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		return sizeof(u8);
	case VFIO_IRQ_SET_DATA_EVENTFD:
		return sizeof(int32_t);
	default:
		return fail(-EINVAL, "flags %#x: need one of DATA_NONE, DATA_BOOL and DATA_EVENTFD",
			    hdr->flags);
	}
}

int vfio_set_irqs_validate_and_prepare(const struct vfio_irq_set *hdr, u32 num_irqs, u32 max_irq_type,
				       size_t *ret_data_size)
{
	const size_t minsz = offsetof(struct vfio_irq_set, data);
	const u32 known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	size_t need;
	int each;

	*ret_data_size = 0;
	if (hdr->argsz < minsz)
		return fail(-EINVAL, "argsz is %u, struct vfio_irq_set has %zu bytes", hdr->argsz, minsz);
	if (hdr->index >= max_irq_type)
		return fail(-EINVAL, "irq index %u: the device has %u", hdr->index, max_irq_type);
	if (hdr->flags & ~known)
		return fail(-EINVAL, "flags %#x: bits %#x are unknown", hdr->flags, hdr->flags & ~known);
	if (hdr->start >= num_irqs || hdr->count > num_irqs - hdr->start)
		return fail(-EINVAL, "vectors %u to %llu of irq index %u: it has %u", hdr->start,
			    (unsigned long long)hdr->start + hdr->count - !!hdr->count, hdr->index, num_irqs);
	each = irq_data_size(hdr);
	if (each < 0)
		return each;
	need = (size_t)each * hdr->count;
	if (hdr->argsz - minsz < need)
		return fail(-EINVAL, "argsz is %u, but %u vectors need %zu bytes", hdr->argsz, hdr->count,
			    minsz + need);
	*ret_data_size = need;
	return 0;
}
