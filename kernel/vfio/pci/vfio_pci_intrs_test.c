/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_pci_intrs_test.c - SET_IRQS: every shape as Linux, and interrupts from device to eventfd. */
#include "kernel/vfio/pci/vfio_pci_test.h"

#include <pthread.h>

#include "kernel/vfio/pci/vfio_pci_intrs_cases.h"

#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define TRIG VFIO_IRQ_SET_ACTION_TRIGGER
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR VFIO_PCI_ERR_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX

static const int neg = -1, neg2 = -2, closed = 999;
static const u8 one = 1, zero = 0;

static long set_fd(int d, unsigned index, unsigned start, const int *fd)
{
	return t_set_irqs(d, EVFD | TRIG, index, start, 1, fd, 4);
}

static long disable(int d, unsigned index)
{
	return t_set_irqs(d, NONE | TRIG, index, 0, 0, NULL, 0);
}

static long loopback(int d, unsigned index, unsigned start, unsigned count)
{
	return t_set_irqs(d, NONE | TRIG, index, start, count, NULL, 0);
}

/* ---- every shape ----------------------------------------------------------------------------- */

static int errno_of(char letter)
{
	switch (letter) {
	case '0':
	case 'o':
		return 0;
	case 'I':
		return EINVAL;
	case 'T':
		return ENOTTY;
	case 'R':
		return ERANGE;
	case 'B':
		return EBADF;
	default:
		return -1;
	}
}

static unsigned disable_all(int d)
{
	unsigned were_on = 0;

	for (unsigned index = 0; index < 5; index++)
		were_on |= (unsigned)!disable(d, index) << index;
	return were_on;
}

struct shape {
	int d, e, f;
	const struct irq_case *c;
	unsigned start, count, val;
};

static long do_shape(const struct shape *s)
{
	const int fds[3][2] = { { s->f, s->f }, { -1, -1 }, { 999, 999 } };
	const u8 bools[3][2] = { { 1, 1 }, { 0, 0 }, { 255, 255 } };
	const void *data = s->c->type == 1 ? (const void *)bools[s->val] : (const void *)fds[s->val];
	const size_t size = s->c->type == 0 ? 0 : s->c->type == 1 ? 1 : 4;

	return t_set_irqs(s->d, 1u << s->c->type | 8u << s->c->action, s->c->index, s->start, s->count, data,
			  size * s->count);
}

static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void check_shape(const struct shape *s, const char *answer)
{
	const int want = errno_of(answer[0]);
	const bool signalled = answer[0] == 'o';
	bool reason;
	unsigned on;
	long ret;

	if (s->c->enabled >= 0)
		assert_int_equal(t_set_irqs(s->d, EVFD | TRIG, (u32)s->c->enabled, 0, 1, &s->e, 4), 0);
	ret = do_shape(s);
	reason = explain_take() != NULL;
	const bool e = t_count(s->e), f = t_count(s->f);

	on = disable_all(s->d);
	if (ret != -want || (want && !reason) || e != signalled || f || on != digit(answer[1]))
		t_wrong("enabled %d, index %u action %u type %u start %u count %u data %u: %ld%s, e %d f %d, then on 0x%x; "
			"Linux says %.2s",
			s->c->enabled, s->c->index, s->c->action, s->c->type, s->start, s->count, s->val, ret,
			reason ? "" : " without a reason", e, f, on, answer);
	assert_int_equal(t_count(s->e) + t_count(s->f), 0);
}

static void all_shapes(unsigned i, const struct irq_case *cases, size_t num)
{
	struct t_dev t = t_dev_open(i);
	struct shape s = { .d = t.d, .e = t_eventfd(), .f = t_eventfd() };

	for (size_t k = 0; k < num; k++) {
		const char *answer = cases[k].answers;
		const bool same = strlen(answer) == 2;

		s.c = &cases[k];
		for (s.start = 0; s.start < 2; s.start++) {
			for (s.count = 0; s.count < 3; s.count++) {
				for (s.val = 0; s.val < (s.c->type ? 3 : 1); s.val++) {
					assert_true(answer[0] && answer[1]);
					check_shape(&s, answer);
					answer += same ? 0 : 2;
				}
			}
		}
		assert_true(same || !*answer);
	}
	close(s.e);
	close(s.f);
	t_dev_close(t);
}

static void edu_shapes_as_linux(void **state)
{
	(void)state;
	all_shapes(EDU, edu_irq_cases, ARRAY_SIZE(edu_irq_cases));
}

static void nvme_shapes_as_linux(void **state)
{
	(void)state;
	all_shapes(NVME, nvme_irq_cases, ARRAY_SIZE(nvme_irq_cases));
}

static void headers(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	struct vfio_irq_set short_set = { .argsz = 16, .flags = NONE | TRIG, .index = MSI };
	int e = t_eventfd();

	(void)state;
	guard_install();
	t_fails(t_ioctl(t.d, VFIO_DEVICE_SET_IRQS, T_BAD), EFAULT);
	t_fails(t_ioctl(t.d, VFIO_DEVICE_SET_IRQS, &short_set), EINVAL);
	t_fails(t_set_irqs(t.d, 0, MSI, 0, 0, NULL, 0), EINVAL);
	t_fails(t_set_irqs(t.d, TRIG, MSI, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD, MSI, 0, 1, &e, 4), ENOTTY);
	t_fails(t_set_irqs(t.d, EVFD | NONE | TRIG, MSI, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG | MASK, MSI, 0, 1, &e, 4), ENOTTY);
	t_fails(t_set_irqs(t.d, EVFD | TRIG | 64, MSI, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, 5, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, ~0u, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, MSIX, 0, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, MSI, 1, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, MSI, ~0u, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, MSI, 0, 2, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, MSI, 0, ~0u, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, MSI, 0, 1, NULL, 0), EINVAL);
	close(e);
	t_dev_close(t);
}

/* The data may be behind the last mapped byte. */
static void data_that_is_not_there(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	char *page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_irq_set *set = (void *)(page + PAGE_SIZE - sizeof(*set));

	(void)state;
	guard_install();
	assert_ptr_not_equal(page, MAP_FAILED);
	munmap(page + PAGE_SIZE, PAGE_SIZE);
	*set = (struct vfio_irq_set){
		.argsz = sizeof(*set) + 8, .flags = EVFD | TRIG, .index = MSIX, .count = 2
	};
	t_fails(t_ioctl(t.d, VFIO_DEVICE_SET_IRQS, set), EFAULT);
	munmap(page, PAGE_SIZE);
	t_dev_close(t);
}

/* ---- INTx ------------------------------------------------------------------------------------ */

static void intx_rows(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	int e = t_eventfd(), e2 = t_eventfd(), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	t_fails(loopback(t.d, INTX, 0, 1), EINVAL);
	t_fails(t_set_irqs(t.d, NONE | MASK, INTX, 0, 1, NULL, 0), EINVAL);
	t_works(set_fd(t.d, INTX, 0, &neg));
	t_works(set_fd(t.d, INTX, 0, &neg2));
	t_works(disable(t.d, INTX));
	t_fails(set_fd(t.d, INTX, 0, &closed), EBADF);
	t_fails(set_fd(t.d, INTX, 0, &null), EINVAL);
	t_works(set_fd(t.d, INTX, 0, &e));
	t_works(set_fd(t.d, INTX, 0, &e2));
	t_fails(set_fd(t.d, MSI, 0, &e), EINVAL);
	t_works(loopback(t.d, INTX, 0, 1));
	assert_int_equal(t_count(e2), 1);
	t_works(t_set_irqs(t.d, BOOL | TRIG, INTX, 0, 1, &zero, 1));
	assert_int_equal(t_count(e2), 0);
	t_works(t_set_irqs(t.d, BOOL | TRIG, INTX, 0, 1, &one, 1));
	assert_int_equal(t_count(e2), 1);
	t_works(t_set_irqs(t.d, NONE | MASK, INTX, 0, 1, NULL, 0));
	t_works(t_set_irqs(t.d, NONE | MASK, INTX, 0, 1, NULL, 0));
	t_works(t_set_irqs(t.d, BOOL | MASK, INTX, 0, 1, &zero, 1));
	t_fails(t_set_irqs(t.d, EVFD | MASK, INTX, 0, 1, &e, 4), ENOTTY);
	t_works(loopback(t.d, INTX, 0, 1)); /* masked or not */
	assert_int_equal(t_count(e2), 1);
	t_works(t_set_irqs(t.d, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	t_works(t_set_irqs(t.d, EVFD | UNMASK, INTX, 0, 1, &e, 4));
	t_fails(t_set_irqs(t.d, EVFD | UNMASK, INTX, 0, 1, &e, 4), EBUSY);
	t_works(t_set_irqs(t.d, EVFD | UNMASK, INTX, 0, 1, &neg, 4));
	t_fails(t_set_irqs(t.d, NONE | UNMASK, INTX, 0, 0, NULL, 0), EINVAL);
	t_fails(set_fd(t.d, INTX, 0, &closed), EBADF); /* the old one stays */
	t_works(loopback(t.d, INTX, 0, 1));
	assert_int_equal(t_count(e2), 1);
	t_works(set_fd(t.d, INTX, 0, &neg));
	t_suspicious(loopback(t.d, INTX, 0, 1));
	t_works(disable(t.d, INTX));
	t_fails(disable(t.d, INTX), EINVAL);
	close(e);
	close(e2);
	close(null);
	t_dev_close(t);
}

static void intx_level(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	int e = t_eventfd(), u = t_eventfd();
	const u64 n = 1;

	(void)state;
	t_works(set_fd(t.d, INTX, 0, &e));
	hw_pin(t.hw, true);
	assert_int_equal(t_count(e), 1);
	hw_pin(t.hw, false);
	t_forget();
	hw_pin(t.hw, true); /* masked meanwhile, and the user is told why once */
	hw_pin(t.hw, false);
	hw_pin(t.hw, true);
	assert_int_equal(t_count(e), 0);
	assert_int_equal(t_events, 1);
	assert_true(t_said("UNMASK"));
	t_works(t_set_irqs(t.d, NONE | UNMASK, INTX, 0, 1, NULL, 0)); /* still high: again */
	assert_int_equal(t_count(e), 1);
	hw_pin(t.hw, false);
	t_works(t_set_irqs(t.d, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	assert_int_equal(t_count(e), 0);
	hw_pin(t.hw, true);
	assert_int_equal(t_count(e), 1);
	/* by eventfd, from our thread */
	t_works(t_set_irqs(t.d, EVFD | UNMASK, INTX, 0, 1, &u, 4));
	assert_int_equal(write(u, &n, 8), 8);
	assert_true(t_wait(e));
	assert_int_equal(t_count(e), 1);
	hw_pin(t.hw, false);
	/* a mask of the program's is in the real command register, ours is not */
	t_works(t_set_irqs(t.d, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	t_works(t_set_irqs(t.d, NONE | MASK, INTX, 0, 1, NULL, 0));
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x503);
	assert_int_equal(t_get(t.d, CFG + 4, 2), 0x103);
	hw_pin(t.hw, true);
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t.d, BOOL | UNMASK, INTX, 0, 1, &zero, 1));
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t.d, BOOL | UNMASK, INTX, 0, 1, &one, 1));
	assert_int_equal(t_count(e), 1);
	hw_pin(t.hw, false);
	t_works(disable(t.d, INTX));
	hw_pin(t.hw, true); /* to nobody */
	assert_int_equal(t_count(e), 0);
	t_works(set_fd(t.d, INTX, 0, &e)); /* high when it is enabled */
	assert_int_equal(t_count(e), 1);
	hw_pin(t.hw, false);
	close(e);
	close(u);
	t_dev_close(t);
}

static void intx_disable_bit(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	int e = t_eventfd();

	(void)state;
	t_works(set_fd(t.d, INTX, 0, &e));
	t_put(t.d, CFG + 4, 2, 0x406);
	assert_int_equal(t_get(t.d, CFG + 4, 2), 0x406);
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x406);
	hw_pin(t.hw, true);
	assert_int_equal(t_count(e), 0);
	t_works(t_set_irqs(t.d, NONE | UNMASK, INTX, 0, 1, NULL, 0));
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x406);
	assert_int_equal(t_count(e), 0);
	t_put(t.d, CFG + 4, 2, 6);
	assert_int_equal(cfg_get(t.hw, 4, 2), 6);
	assert_int_equal(t_count(e), 1);
	hw_pin(t.hw, false);
	t_works(disable(t.d, INTX));
	t_put(t.d, CFG + 4, 2, 0x406);
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x406);
	t_works(set_fd(t.d, INTX, 0, &e));
	assert_int_equal(t_get(t.d, CFG + 4, 2), 0x406);
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x406);
	t_works(disable(t.d, INTX));
	close(e);
	t_dev_close(t);
	t = t_dev_open(EDU);
	assert_int_equal(t_get(t.d, CFG + 4, 2), 0x103);
	t_dev_close(t);
}

static void intx_without_eventfd(void **state)
{
	struct t_dev t = t_dev_open(EDU);

	(void)state;
	t_works(set_fd(t.d, INTX, 0, &neg));
	t_forget();
	hw_pin(t.hw, true);
	assert_true(t_said("INTx lost"));
	hw_pin(t.hw, false);
	t_dev_close(t);
}

/* ---- MSI and MSI-X --------------------------------------------------------------------------- */

static void msi_rows(void **state)
{
	struct t_dev t = t_dev_open(EDU);
	int e = t_eventfd(), e2 = t_eventfd(), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	t_fails(loopback(t.d, MSI, 0, 1), EINVAL);
	t_fails(disable(t.d, MSI), EINVAL);
	t_fails(set_fd(t.d, MSI, 0, &closed), EBADF);
	t_fails(set_fd(t.d, MSI, 0, &null), EINVAL);
	t_works(set_fd(t.d, MSI, 0, &neg2));
	t_works(disable(t.d, MSI));
	t_works(set_fd(t.d, MSI, 0, &neg));
	t_forget();
	hw_message(t.hw, 0); /* the device cannot mask: lost */
	assert_true(t_said("vector 0 lost"));
	t_works(set_fd(t.d, MSI, 0, &e));
	assert_int_equal(t_count(e), 0);
	t_fails(set_fd(t.d, INTX, 0, &e2), EINVAL);
	t_fails(disable(t.d, INTX), EINVAL);
	hw_message(t.hw, 0);
	assert_int_equal(t_count(e), 1);
	t_works(loopback(t.d, MSI, 0, 1));
	t_works(t_set_irqs(t.d, BOOL | TRIG, MSI, 0, 1, &one, 1));
	assert_int_equal(t_count(e), 2);
	t_fails(t_set_irqs(t.d, NONE | MASK, MSI, 0, 1, NULL, 0), ENOTTY);
	t_works(t_set_irqs(t.d, EVFD | TRIG, MSI, 0, 0, NULL, 0));
	t_fails(set_fd(t.d, MSI, 0, &closed), EBADF); /* the old one is gone */
	t_suspicious(loopback(t.d, MSI, 0, 1));
	assert_int_equal(t_count(e), 0);
	t_works(disable(t.d, MSI));
	assert_int_equal(cfg_get(t.hw, 0x42, 2), 0x80);
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x103);
	close(e);
	close(e2);
	close(null);
	t_dev_close(t);
}

static void err_and_req(void **state)
{
	struct t_dev t = t_dev_open(EDU), n = t_dev_open(NVME);
	struct vfio_pci_core_device *vdev = t_core(t);
	int e = t_eventfd();

	(void)state;
	t_works(set_fd(t.d, ERR, 0, &e)); /* a conventional device, and yet */
	t_works(loopback(t.d, ERR, 0, 1));
	assert_int_equal(t_count(e), 1);
	t_works(set_fd(t.d, ERR, 0, &neg));
	t_forget();
	vfio_pci_ops.request(&vdev->vdev, 0);
	assert_int_equal(t_events, 1);
	t_works(set_fd(t.d, REQ, 0, &e));
	t_works(loopback(t.d, REQ, 0, 1));
	assert_int_equal(t_count(e), 1);
	vfio_pci_ops.request(&vdev->vdev, 0);
	assert_int_equal(t_count(e), 1);
	t_fails(t_set_irqs(t.d, EVFD | TRIG, REQ, 1, 1, &e, 4), EINVAL);
	t_fails(t_set_irqs(t.d, NONE | MASK, REQ, 0, 1, NULL, 0), ENOTTY);
	t_fails(set_fd(t.d, REQ, 0, &neg2), EINVAL);
	t_works(set_fd(t.d, REQ, 0, &neg));
	t_fails(disable(t.d, REQ), EINVAL);
	t_works(set_fd(n.d, ERR, 0, &e));
	t_works(loopback(n.d, ERR, 0, 1));
	assert_int_equal(t_count(e), 1);
	close(e);
	t_dev_close(n);
	t_dev_close(t);
}

static void msix_rows(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	int e = t_eventfd(), fds[65];

	(void)state;
	for (unsigned i = 0; i < 65; i++)
		fds[i] = e;
	t_works(set_fd(t.d, MSIX, 2, &e));
	t_works(set_fd(t.d, MSIX, 0, &e));
	t_works(set_fd(t.d, MSIX, 64, &e));
	t_fails(set_fd(t.d, MSIX, 65, &e), EINVAL);
	t_suspicious(loopback(t.d, MSIX, 5, 1));
	t_works(loopback(t.d, MSIX, 0, 65));
	assert_int_equal(t_count(e), 3);
	fds[1] = 999;
	t_fails(t_set_irqs(t.d, EVFD | TRIG, MSIX, 0, 3, fds, 12), EBADF);
	t_works(loopback(t.d, MSIX, 2, 1));
	assert_int_equal(t_count(e), 1);
	t_works(loopback(t.d, MSIX, 0, 1));
	assert_int_equal(t_count(e), 0);
	t_fails(set_fd(t.d, MSI, 0, &e), EINVAL);
	t_works(t_set_irqs(t.d, NONE | TRIG, MSIX, 1, 0, NULL, 0));
	t_fails(disable(t.d, MSIX), EINVAL);
	fds[1] = e;
	t_works(t_set_irqs(t.d, EVFD | TRIG, MSIX, 0, 65, fds, sizeof(fds)));
	for (unsigned v = 0; v < 65; v++)
		hw_message(t.hw, v);
	assert_int_equal(t_count(e), 65);
	t_works(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(cfg_get(t.hw, 0x42, 2), 0x8040);
	hw_message(t.hw, 7);
	t_works(loopback(t.d, MSIX, 0, 1));
	assert_int_equal(t_count(e), 2);
	t_works(disable(t.d, MSIX));
	assert_int_equal(cfg_get(t.hw, 0x42, 2), 0x40);
	close(e);
	t_dev_close(t);
}

/* A vector without eventfd is masked in the device: its message waits there. */
static void msix_pending(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	int e = t_eventfd();

	(void)state;
	t_works(set_fd(t.d, MSIX, 0, &e));
	hw_message(t.hw, 3);
	assert_int_equal(t.hw->pending[3], 1);
	t_works(set_fd(t.d, MSIX, 3, &e));
	assert_int_equal(t_count(e), 1);
	t_works(set_fd(t.d, MSIX, 3, &neg));
	hw_message(t.hw, 3);
	assert_int_equal(t_count(e), 0);
	t_works(set_fd(t.d, MSIX, 3, &e));
	assert_int_equal(t_count(e), 1);
	close(e);
	t_dev_close(t);
}

/* MSI with mask bits behaves alike; and what was allocated cannot grow. */
static void msi_maskable(void **state)
{
	struct t_dev t = t_dev_open(IGB);
	int e = t_eventfd();

	(void)state;
	t_fails(set_fd(t.d, MSI, 1, &e), EINVAL);
	t_works(set_fd(t.d, MSI, 0, &e));
	assert_int_equal(t_get(t.d, CFG + 0x52, 2), 0x180);
	assert_int_equal(cfg_get(t.hw, 0x52, 2), 0x181);
	assert_int_equal(cfg_get(t.hw, 0x60, 4), 0);
	hw_message(t.hw, 0);
	assert_int_equal(t_count(e), 1);
	t_works(set_fd(t.d, MSI, 0, &neg));
	assert_int_equal(cfg_get(t.hw, 0x60, 4), 1);
	close(e);
	t_dev_close(t);
}

/* INTx disable of the command register holds loopback back; messages leave that bit alone, but for a reset. */
static void command_register(void **state)
{
	struct t_dev t = t_dev_open(IGB);
	int e = t_eventfd();

	(void)state;
	t_works(set_fd(t.d, INTX, 0, &e));
	t_put(t.d, CFG + 4, 2, 0x402);
	t_works(t_set_irqs(t.d, NONE | TRIG, INTX, 0, 1, NULL, 0));
	assert_int_equal(t_count(e), 0);
	t_put(t.d, CFG + 4, 2, 2);
	t_works(t_set_irqs(t.d, NONE | TRIG, INTX, 0, 1, NULL, 0));
	assert_int_equal(t_count(e), 1);
	t_works(t_set_irqs(t.d, NONE | TRIG, INTX, 0, 0, NULL, 0));
	t_works(set_fd(t.d, MSIX, 0, &e));
	assert_int_equal(cfg_get(t.hw, 4, 2), 2);
	t_works(t_ioctl(t.d, VFIO_DEVICE_RESET, NULL));
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x402);
	assert_int_equal(t_get(t.d, CFG + 4, 2), 2);
	t_works(t_set_irqs(t.d, NONE | TRIG, MSIX, 0, 0, NULL, 0));
	assert_int_equal(cfg_get(t.hw, 4, 2), 0x402);
	close(e);
	t_dev_close(t);
}

/* The eventfd is ours until it is replaced, even if the program closed its descriptor. */
static void eventfd_outlives_its_descriptor(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	int e = t_eventfd(), copy = dup(e);

	(void)state;
	t_works(set_fd(t.d, MSIX, 0, &e));
	close(e);
	hw_message(t.hw, 0);
	assert_int_equal(t_count(copy), 1);
	close(copy);
	hw_message(t.hw, 0);
	t_dev_close(t);
}

/* Messages race with every way of changing what they signal. */
struct storm {
	struct fake_hw *hw;
	atomic_bool stop;
};

static void *send_messages(void *arg)
{
	struct storm *storm = arg;

	while (!atomic_load(&storm->stop))
		pci_msi_receive(table_word(storm->hw, 0, 0), table_word(storm->hw, 0, 8));
	return NULL;
}

static void messages_race_with_set_irqs(void **state)
{
	struct t_dev t = t_dev_open(NVME);
	struct storm storm = { .hw = t.hw };
	int e[2] = { t_eventfd(), t_eventfd() };
	pthread_t thread;
	u64 seen = 0;

	(void)state;
	t_works(set_fd(t.d, MSIX, 0, &e[0]));
	assert_int_equal(pthread_create(&thread, NULL, send_messages, &storm), 0);
	for (unsigned i = 0; i < 2000 || !seen; i++) {
		t_works(set_fd(t.d, MSIX, 0, i % 3 == 2 ? &neg : &e[i % 2]));
		if (i % 50 == 49) {
			t_works(disable(t.d, MSIX));
			t_works(set_fd(t.d, MSIX, 0, &e[0]));
		}
		seen += t_count(e[0]) + t_count(e[1]);
	}
	t_works(set_fd(t.d, MSIX, 0, &e[0]));
	assert_true(t_wait(e[0]));
	atomic_store(&storm.stop, true);
	pthread_join(thread, NULL);
	close(e[0]);
	close(e[1]);
	t_dev_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(edu_shapes_as_linux, t_close_all),
		cmocka_unit_test_teardown(nvme_shapes_as_linux, t_close_all),
		cmocka_unit_test_teardown(headers, t_close_all),
		cmocka_unit_test_teardown(data_that_is_not_there, t_close_all),
		cmocka_unit_test_teardown(intx_rows, t_close_all),
		cmocka_unit_test_teardown(intx_level, t_close_all),
		cmocka_unit_test_teardown(intx_disable_bit, t_close_all),
		cmocka_unit_test_teardown(intx_without_eventfd, t_close_all),
		cmocka_unit_test_teardown(msi_rows, t_close_all),
		cmocka_unit_test_teardown(err_and_req, t_close_all),
		cmocka_unit_test_teardown(msix_rows, t_close_all),
		cmocka_unit_test_teardown(msix_pending, t_close_all),
		cmocka_unit_test_teardown(msi_maskable, t_close_all),
		cmocka_unit_test_teardown(command_register, t_close_all),
		cmocka_unit_test_teardown(eventfd_outlives_its_descriptor, t_close_all),
		cmocka_unit_test_teardown(messages_race_with_set_irqs, t_close_all),
	};

	return cmocka_run_group_tests(tests, t_pci_machine, t_pci_machine_end);
}
