/* SPDX-License-Identifier: BSD-3-Clause */
/* selftest_dmabuf.c - the exporter of the test ioctl's dma-bufs; see selftest_dmabuf.h. */
#include "kernel/iommufd/selftest_dmabuf.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "kernel/fs/dma-buf.h"
#include "kernel/iommufd/iommufd_test.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/mm/mm.h"

#define DMABUF_BYTES_MAX (2u << 20)

struct mock_dmabuf {
	void *memory;	/* the kernel's; immutable */
	bool revoked;	/* the buffer's lock */
};

static int mock_phys(struct dma_buf *buf, phys_addr_t *ret_phys)
{
	const struct mock_dmabuf *mock = buf->priv;

	if (mock->revoked)
		return fail(-ENODEV, "the dma-buf has been revoked");
	*ret_phys = virt_to_phys(mock->memory);
	return 0;
}

static void mock_free(struct mock_dmabuf *mock, u64 size)
{
	sys_munmap(mock->memory, size);
	kfree(mock);
}

static void mock_release(struct dma_buf *buf)
{
	mock_free(buf->priv, buf->size);
}

static const struct dma_buf_ops mock_dmabuf_ops = { .exp_name = "iommufd_mock", .phys = mock_phys, .release = mock_release };

static struct mock_dmabuf *mock_alloc(u64 size)
{
	struct mock_dmabuf *mock = kzalloc(sizeof(*mock));

	if (!mock)
		return ERR_PTR(fail(-ENOMEM, "no memory for a dma-buf"));
	mock->memory = sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!IS_ERR(mock->memory))
		return mock;
	kfree(mock);
	return ERR_PTR(fail(-ENOMEM, "no memory for a dma-buf"));
}

int mock_dmabuf_get(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	u64 size = ALIGN_UP((u64)cmd->dmabuf_get.length, PAGE_SIZE);
	struct mock_dmabuf *mock;
	struct dma_buf *buf;
	int fd;

	if (!size || size > DMABUF_BYTES_MAX)
		return fail(-EINVAL, "length 0x%x is not 1 to 0x%x", cmd->dmabuf_get.length, DMABUF_BYTES_MAX);
	mock = mock_alloc(size);
	if (IS_ERR(mock))
		return (int)PTR_ERR(mock);
	buf = dma_buf_export(&mock_dmabuf_ops, mock, size, O_RDWR);
	if (IS_ERR(buf)) {
		mock_free(mock, size);
		return (int)PTR_ERR(buf);
	}
	fd = dma_buf_fd(buf, cmd->dmabuf_get.open_flags & O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(buf);
	return fd;
}

int mock_dmabuf_revoke(struct iommufd_ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = ucmd->cmd;
	struct dma_buf *buf = dma_buf_get(cmd->dmabuf_revoke.dmabuf_fd);
	int err = 0;

	if (IS_ERR(buf))
		return (int)PTR_ERR(buf);
	if (buf->ops == &mock_dmabuf_ops) {
		dma_buf_lock(buf);
		((struct mock_dmabuf *)buf->priv)->revoked = cmd->dmabuf_revoke.revoked;
		if (cmd->dmabuf_revoke.revoked)
			dma_buf_revoke(buf);
		dma_buf_unlock(buf);
	} else {
		err = fail(-EOPNOTSUPP, "descriptor %d is a dma-buf of another exporter", cmd->dmabuf_revoke.dmabuf_fd);
	}
	dma_buf_put(buf);
	return err;
}
