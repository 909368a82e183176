/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ioas.c - the ioctls of an I/O address space.
 *
 * Each takes its struct apart, checks what needs no look at the address space, and calls the core in
 * io_pagetable.c.
 */
#include "kernel/iommufd/iommufd_private.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"

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
