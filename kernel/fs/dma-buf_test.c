/* SPDX-License-Identifier: BSD-3-Clause */
/* dma-buf_test.c - descriptors of buffers, attaching and being told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/sync_file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/fs/dma-buf.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/guard.h"

static unsigned released;
static bool gone;

static int test_phys(struct dma_buf *buf, phys_addr_t *ret_phys)
{
	(void)buf;
	*ret_phys = 0x1000;
	return gone ? fail(-ENODEV, "it was revoked") : 0;
}

static void test_release(struct dma_buf *buf)
{
	assert_ptr_equal(buf->priv, &gone);
	released++;
}

static const struct dma_buf_ops ops = { .exp_name = "test", .phys = test_phys, .release = test_release };

static void descriptors(void **state)
{
	struct dma_buf *buf = dma_buf_export(&ops, &gone, 8192, O_RDWR), *got;
	int null = open("/dev/null", O_RDWR), fd;

	(void)state;
	released = 0;
	assert_false(IS_ERR(buf));
	fd = dma_buf_fd(buf, true);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	got = dma_buf_get(fd);
	assert_ptr_equal(got, buf);
	assert_int_equal(got->size, 8192);
	explain_begin();
	assert_int_equal(buf->file->f_op->lseek(buf->file, 0, SEEK_END), 8192);
	assert_int_equal(buf->file->f_op->lseek(buf->file, 0, SEEK_SET), 0);
	assert_int_equal(buf->file->f_op->lseek(buf->file, 1, SEEK_SET), -EINVAL);
	assert_int_equal(buf->file->f_op->lseek(buf->file, 0, SEEK_CUR), -EINVAL);
	assert_int_equal(buf->file->f_op->mmap(buf->file, NULL, MAP_SHARED), -EINVAL);
	assert_int_equal(PTR_ERR(dma_buf_get(null)), -EINVAL);
	close(null);
	assert_int_equal(PTR_ERR(dma_buf_get(null)), -EBADF);
	assert_int_equal(PTR_ERR(dma_buf_get(-1)), -EBADF);
	fd_uninstall(fd);
	close(fd);
	assert_int_equal(released, 0); /* the one we got */
	dma_buf_put(got);
	dma_buf_put(NULL);
	assert_int_equal(released, 1);
}

static long call(struct dma_buf *buf, unsigned cmd, const void *arg)
{
	explain_begin();
	return buf->file->f_op->ioctl(buf->file, cmd, (unsigned long)arg);
}

static void names(void **state)
{
	struct dma_buf *buf = dma_buf_export(&ops, &gone, 8192, O_RDWR);
	char text[128], longest[DMA_BUF_NAME_LEN];

	(void)state;
	guard_install(); /* here: cmocka puts its own handler in before */
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(call(buf, DMA_BUF_SET_NAME, "frame"), 0);
	buf->file->f_op->link(buf->file, text, sizeof(text));
	assert_string_equal(text, "/dmabuf:frame");
	buf->file->f_op->fdinfo(buf->file, text, sizeof(text));
	assert_string_equal(text, "size:\t8192\ncount:\t0\nexp_name:\ttest\nname:\tframe\n"); /* without a reader's reference */
	assert_int_equal(call(buf, DMA_BUF_SET_NAME, longest), -EINVAL);
	assert_int_equal(call(buf, DMA_BUF_SET_NAME, (void *)8), -EFAULT);
	assert_int_equal(call(buf, DMA_BUF_SET_NAME_A, ""), 0);
	buf->file->f_op->fdinfo(buf->file, text, sizeof(text));
	assert_string_equal(text, "size:\t8192\ncount:\t0\nexp_name:\ttest\n");
	assert_int_equal(call(buf, _IO('b', 99), NULL), -ENOTTY);
	dma_buf_put(buf);
}

static void fences(void **state)
{
	struct dma_buf *buf = dma_buf_export(&ops, &gone, 8192, O_RDWR);
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_READ | DMA_BUF_SYNC_END };
	struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_RW };
	struct dma_buf_import_sync_file in = { .flags = DMA_BUF_SYNC_RW };
	struct sync_file_info info = { .num_fences = 0 };
	struct file *fence;

	(void)state;
	assert_int_equal(call(buf, DMA_BUF_IOCTL_SYNC, &sync), 0);
	sync.flags = DMA_BUF_SYNC_END;
	assert_int_equal(call(buf, DMA_BUF_IOCTL_SYNC, &sync), -EINVAL);
	assert_int_equal(call(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out), 0);
	in.fd = out.fd;
	assert_int_equal(call(buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in), 0);
	in.fd = -1;
	assert_int_equal(call(buf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in), -EINVAL);
	fence = fget(out.fd);
	assert_int_equal(fence->f_op->ioctl(fence, SYNC_IOC_FILE_INFO, (unsigned long)&info), 0);
	assert_int_equal(info.status, 1);
	assert_int_equal(info.num_fences, 1);
	info.flags = 1;
	assert_int_equal(fence->f_op->ioctl(fence, SYNC_IOC_FILE_INFO, (unsigned long)&info), -EINVAL);
	fput(fence);
	fd_uninstall(out.fd);
	close(out.fd);
	out.flags = 0;
	assert_int_equal(call(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out), -EINVAL);
	dma_buf_put(buf);
}

struct importer {
	struct dma_buf_attachment attachment;
	unsigned told;
};

static void test_revoke(struct dma_buf_attachment *attachment)
{
	container_of(attachment, struct importer, attachment)->told++;
}

static void importers(void **state)
{
	struct dma_buf *buf = dma_buf_export(&ops, &gone, 4096, O_RDWR);
	struct importer a = { .attachment.revoke = test_revoke }, b = a;
	phys_addr_t phys;

	(void)state;
	released = 0;
	dma_buf_lock(buf);
	dma_buf_attach(buf, &a.attachment);
	dma_buf_attach(buf, &b.attachment);
	assert_int_equal(buf->ops->phys(buf, &phys), 0);
	gone = true;
	dma_buf_revoke(buf);
	assert_int_equal(buf->ops->phys(buf, &phys), -ENODEV);
	dma_buf_detach(buf, &b.attachment);
	dma_buf_revoke(buf);
	dma_buf_detach(buf, &a.attachment);
	dma_buf_unlock(buf);
	assert_int_equal(a.told, 2);
	assert_int_equal(b.told, 1);
	dma_buf_put(buf);
	assert_int_equal(released, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors), cmocka_unit_test(names), cmocka_unit_test(fences), cmocka_unit_test(importers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
