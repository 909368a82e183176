/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aer.c - errors that devices report: counted, shown in aer_dev_*, told to the driver.
 *
 * A report may come from the middle of an access to the device's own registers, with locks of its model
 * held.  So it only counts and puts the device on a list; a thread of ours, which starts with the first
 * report that somebody has to act upon, does the rest with the tree lock held, as driver and device
 * then stay.  Correctable errors are counted and no more.
 *
 * A non-fatal error: the driver is told, and the status in the device is cleared.  A fatal one: the
 * same, and then the link is reset, with all that is behind the port.
 *
 * Sources: PCI Express Base 5.0, 6.2; Documentation/PCI/pcieaer-howto; the names are those that Linux 7.3
 * shows.
 */
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>

#include "kernel/fs/kernfs.h"
#include "kernel/lib/err.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/kthread.h"
#include "kernel/lib/slab.h"
#include "kernel/lib/sys.h"
#include "kernel/pci/pci_internal.h"

#define COR_STATUS_BITS 16
#define UNCOR_STATUS_BITS 32

static const char *const cor_names[COR_STATUS_BITS] = {
	[0] = "RxErr",	   [6] = "BadTLP",	 [7] = "BadDLLP",     [8] = "Rollover",
	[12] = "Timeout", [13] = "NonFatalErr", [14] = "CorrIntErr", [15] = "HeaderOF",
};

static const char *const uncor_names[UNCOR_STATUS_BITS] = {
	[0] = "Undefined",	  [4] = "DLP",		   [5] = "SDES",
	[12] = "TLP",		  [13] = "FCP",		   [14] = "CmpltTO",
	[15] = "CmpltAbrt",	  [16] = "UnxCmplt",	   [17] = "RxOF",
	[18] = "MalfTLP",	  [19] = "ECRC",	   [20] = "UnsupReq",
	[21] = "ACSViol",	  [22] = "UncorrIntErr",   [23] = "BlockedTLP",
	[24] = "AtomicOpBlocked", [25] = "TLPBlockedErr",  [26] = "PoisonTLPBlocked",
	[27] = "DMWrReqBlocked",  [28] = "IDECheck",	   [29] = "MisIDETLP",
	[30] = "PCRC_CHECK",	  [31] = "TLPXlatBlocked",
};

struct pci_aer {
	struct pci_dev *pdev; /* immutable */
	atomic_uint_least64_t count[3][UNCOR_STATUS_BITS], total[3]; /* by enum pci_aer_severity */
	bool queued, fatal; /* aer_lock */
	TAILQ_ENTRY(pci_aer) node; /* aer_lock */
};

static struct mutex aer_lock = MUTEX_INITIALIZER(LOCK_PCI_AER);
static TAILQ_HEAD(, pci_aer) aer_queue = TAILQ_HEAD_INITIALIZER(aer_queue); /* aer_lock */
static pid_t aer_pid; /* aer_lock: the process that has the thread; a forked child has none */
static _Atomic u32 aer_news; /* futex: changes with each report */

/* ---- what is done about it ------------------------------------------------------------------- */

static void clear_status(struct pci_dev *pdev)
{
	const unsigned at = pdev->aer_cap + PCI_ERR_UNCOR_STATUS;
	u32 status = 0;
	u16 sta = 0;

	if (!pci_read_config_dword(pdev, at, &status) && status)
		pci_write_config_dword(pdev, at, status);
	if (pdev->pcie_cap && !pci_read_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVSTA, &sta) && sta)
		pci_write_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVSTA, sta);
}

static void recover(struct pci_dev *pdev, bool fatal)
{
	struct pci_driver *drv = pdev->dev.driver ? to_pci_driver(pdev->dev.driver) : NULL;

	kernfs_assert_locked();
	if (!pdev->present)
		return;
	explain_event("%s reported a %s error%s", pdev->dev.name, fatal ? "fatal" : "non-fatal",
		      drv ? "" : "; it has no driver that could be told");
	if (drv && drv->error_detected)
		drv->error_detected(pdev);
	if (fatal && pdev->bridge)
		pci_reset_link(pdev->bridge);
	clear_status(pdev);
}

/* Return: a device, off the list; NULL.  Tree lock held, so it stays. */
static struct pci_dev *next_report(bool *ret_fatal)
{
	struct pci_aer *aer;

	mutex_lock(&aer_lock);
	aer = TAILQ_FIRST(&aer_queue);
	if (aer) {
		TAILQ_REMOVE(&aer_queue, aer, node);
		aer->queued = false;
		*ret_fatal = aer->fatal;
		aer->fatal = false;
	}
	mutex_unlock(&aer_lock);
	return aer ? aer->pdev : NULL;
}

static void *aer_thread(void *unused)
{
	struct pci_dev *pdev;
	bool fatal = false;
	u32 seen;

	for (;;) {
		seen = atomic_load(&aer_news);
		kernfs_lock();
		while ((pdev = next_report(&fatal)))
			recover(pdev, fatal);
		kernfs_unlock();
		sys_futex((u32 *)&aer_news, FUTEX_WAIT_PRIVATE, seen, NULL);
	}
	return unused;
}

static int start_thread_locked(void)
{
	const pid_t pid = (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0);
	pthread_t thread;
	int err;

	if (aer_pid == pid)
		return 0;
	err = kthread_run(&thread, "softvfio-aer", aer_thread, NULL);
	if (err)
		return err;
	pthread_detach(thread); /* it holds nothing between two reports, and ends with the process */
	aer_pid = pid;
	return 0;
}

void pci_aer_receive(struct pci_dev *pdev, enum pci_aer_severity severity, u32 status)
{
	struct pci_aer *aer = pdev->aer;
	int err;

	if (!aer || !status)
		return;
	atomic_fetch_add(&aer->count[severity][__builtin_ctz(status)], 1);
	atomic_fetch_add(&aer->total[severity], 1);
	if (severity == PCI_AER_CORRECTABLE)
		return;
	mutex_lock(&aer_lock);
	err = start_thread_locked();
	if (!err && !aer->queued)
		TAILQ_INSERT_TAIL(&aer_queue, aer, node);
	aer->queued |= !err;
	aer->fatal |= severity == PCI_AER_FATAL;
	mutex_unlock(&aer_lock);
	if (err)
		explain_event("%s: an error report is lost: no thread can be started", pdev->dev.name);
	atomic_fetch_add(&aer_news, 1);
	sys_futex((u32 *)&aer_news, FUTEX_WAKE_PRIVATE, 1, NULL);
}

/* ---- aer_dev_* ------------------------------------------------------------------------------- */

static ssize_t show(const struct pci_aer *aer, enum pci_aer_severity severity, char *buf)
{
	static const char *const totals[] = {"COR", "NONFATAL", "FATAL"};
	const bool cor = severity == PCI_AER_CORRECTABLE;
	const char *const *names = cor ? cor_names : uncor_names;
	int len = 0;

	for (unsigned i = 0; i < (cor ? COR_STATUS_BITS : UNCOR_STATUS_BITS); i++)
		if (names[i])
			len += snprintf(buf + len, PAGE_SIZE - (size_t)len, "%s %llu\n", names[i],
					(unsigned long long)atomic_load(&aer->count[severity][i]));
	return len + snprintf(buf + len, PAGE_SIZE - (size_t)len, "TOTAL_ERR_%s %llu\n", totals[severity],
			      (unsigned long long)atomic_load(&aer->total[severity]));
}

static ssize_t show_correctable(void *priv, char *buf)
{
	return show(priv, PCI_AER_CORRECTABLE, buf);
}

static ssize_t show_nonfatal(void *priv, char *buf)
{
	return show(priv, PCI_AER_NONFATAL, buf);
}

static ssize_t show_fatal(void *priv, char *buf)
{
	return show(priv, PCI_AER_FATAL, buf);
}

static const struct {
	const char *name;
	struct kernfs_ops ops;
} attrs[] = {
	{"aer_dev_correctable", {.show = show_correctable}},
	{"aer_dev_nonfatal", {.show = show_nonfatal}},
	{"aer_dev_fatal", {.show = show_fatal}},
};

int pci_aer_add_attrs(struct pci_dev *pdev)
{
	char path[PCI_PATH_MAX];
	int err = 0;

	for (size_t i = 0; pdev->aer && i < ARRAY_SIZE(attrs) && !err; i++) {
		snprintf(path, sizeof(path), "%s/%s", pdev->dev.path, attrs[i].name);
		err = kernfs_create_file(path, 0444, NULL, 0, &attrs[i].ops, pdev->aer);
	}
	return err;
}

int pci_aer_init(struct pci_dev *pdev)
{
	pdev->aer_cap = (u16)pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_ERR);
	if (!pdev->aer_cap || pdev->aer)
		return 0;
	pdev->aer = kzalloc(sizeof(*pdev->aer));
	if (!pdev->aer)
		return fail(-ENOMEM, "no memory for the error counters of %s", pdev->dev.name);
	pdev->aer->pdev = pdev;
	return 0;
}

/* The bits of Device Control that let messages out belong to whoever handles them. */
void pci_aer_enable(struct pci_dev *pdev)
{
	const u16 all = PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE;
	u16 ctl;

	if (!pdev->aer || !pdev->pcie_cap ||
	    pci_read_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVCTL, &ctl))
		return;
	pci_write_config_word(pdev, pdev->pcie_cap + PCI_EXP_DEVCTL, ctl | all);
}

void pci_aer_exit(struct pci_dev *pdev)
{
	struct pci_aer *aer = pdev->aer;

	kernfs_assert_locked();
	if (!aer)
		return;
	mutex_lock(&aer_lock);
	if (aer->queued)
		TAILQ_REMOVE(&aer_queue, aer, node);
	mutex_unlock(&aer_lock);
	pdev->aer = NULL;
	kfree(aer);
}
