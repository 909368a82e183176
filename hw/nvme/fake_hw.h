/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake_hw.h - the other side of <softvfio/hw.h>, for unit tests of this model and for its benchmark.
 *
 * There is one device.  Client memory is a flat array at FAKE_BASE; with a table of ranges only those
 * parts of it are mapped, each readable, and writable if so marked.  One more window, FAKE_BAR, leads to
 * the device's own BAR (peer to peer).  Stores of the machine are memfds that live until
 * fake_forget_stores().  Interrupts are counted.
 *
 * This file defines functions: only one source of a program may include it.
 */
#ifndef HW_NVME_FAKE_HW_H
#define HW_NVME_FAKE_HW_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <softvfio/hw.h>

#include "kernel/lib/guard.h"
#include "kernel/lib/types.h"

#define FAKE_BASE 0x100000000ull
#define FAKE_BYTES (64ull << 20)
#define FAKE_BAR 0xfe000000ull
#define FAKE_RANGES 64
#define FAKE_STORES 40

extern const struct hw_model nvme_model;

struct hw_device {
	const struct hw_model *model;
	void *priv;
	u8 *bar;
	const char *(*options)[2]; /* NULL-ended */
	bool mastering;
	atomic_bool msix;
	atomic_uint msi[65];
	atomic_bool intx;
	atomic_uint intx_edges, threads, engines, explained;
	bool no_threads; /* none can be started */
	unsigned dma_delay_us; /* each transfer of 4 KiB or more takes that long */
	char last_explained[512];
	pthread_mutex_t explain_lock;
};

struct hw_dma {
	struct hw_device *hw;
};

struct hw_thread {
	pthread_t thread;
	void (*run)(void *arg);
	void *arg;
};

struct fake_range {
	u64 iova, len;
	bool writable;
};

static struct hw_device fake = { .explain_lock = PTHREAD_MUTEX_INITIALIZER };
static u8 *fake_memory;
static struct fake_range fake_ranges[FAKE_RANGES];
static unsigned fake_range_count; /* 0: all of client memory is mapped */
static struct {
	char name[16];
	int fd;
} fake_stores[FAKE_STORES];
static unsigned fake_store_count;

/* ---- what models call in create() ---- */

void hw_pci_identify(struct hw_device *hw, const struct hw_pci_id *id)
{
	if (id->vendor != 0x1b36 || id->class_code != 0x010802 || !id->express)
		abort();
}

int hw_bar_add(struct hw_device *hw, unsigned bar, uint64_t size_bytes, unsigned flags)
{
	hw->bar = calloc(1, size_bytes);
	return bar || !hw->bar ? -EINVAL : 0;
}

int hw_bar_set_pages(struct hw_device *hw, unsigned bar, uint64_t off, uint64_t len, enum hw_page_kind kind)
{
	return 0;
}

void *hw_bar_memory(struct hw_device *hw, unsigned bar) { return hw->bar; }
int hw_cap_add_msix(struct hw_device *hw, unsigned vectors, unsigned bar, uint32_t table, uint32_t pba)
{
	return 0x40;
}
int hw_cap_add_pm(struct hw_device *hw, bool no_soft_reset) { return 0x80; }
int hw_cap_add_express(struct hw_device *hw, bool flr) { return 0x50; }

const char *hw_option(struct hw_device *hw, const char *key)
{
	for (unsigned i = 0; hw->options && hw->options[i][0]; i++)
		if (!strcmp(hw->options[i][0], key))
			return hw->options[i][1];
	return NULL;
}

int hw_option_u64(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t lo, uint64_t hi,
		  uint64_t *ret_val)
{
	const char *text = hw_option(hw, key);
	char *end = NULL;

	*ret_val = text ? strtoull(text, &end, 0) : dflt;
	return text && (!*text || *end || *ret_val < lo || *ret_val > hi) ? -EINVAL : 0;
}

int hw_option_size(struct hw_device *hw, const char *key, uint64_t dflt, uint64_t lo, uint64_t hi,
		   uint64_t *ret_val)
{
	return hw_option_u64(hw, key, dflt, lo, hi, ret_val);
}

int hw_store_open(struct hw_device *hw, const char *name, uint64_t size_bytes)
{
	unsigned i;

	for (i = 0; i < fake_store_count && strcmp(fake_stores[i].name, name); i++)
		;
	if (i == FAKE_STORES)
		return -ENOSPC;
	if (i == fake_store_count) {
		snprintf(fake_stores[i].name, sizeof(fake_stores[i].name), "%s", name);
		fake_stores[i].fd = memfd_create(name, MFD_CLOEXEC);
		fake_store_count++;
	}
	if (ftruncate(fake_stores[i].fd, (off_t)size_bytes))
		return -errno;
	return dup(fake_stores[i].fd);
}

void hw_set_private(struct hw_device *hw, void *priv) { hw->priv = priv; }
void *hw_private(const struct hw_device *hw) { return hw->priv; }
const char *hw_name(const struct hw_device *hw) { return "0000:01:00.0"; }

/* ---- DMA ---- */

struct hw_dma *hw_dma_open(struct hw_device *hw)
{
	struct hw_dma *dma = calloc(1, sizeof(*dma));

	if (dma) {
		dma->hw = hw;
		atomic_fetch_add(&hw->engines, 1);
	}
	return dma;
}

void hw_dma_close(struct hw_dma *dma)
{
	atomic_fetch_sub(&dma->hw->engines, 1);
	free(dma);
}

/* The byte at @iova, and how many from there on are alike; NULL: not mapped so. */
static u8 *fake_find(u64 iova, u64 len, bool write, u64 *ret_len)
{
	*ret_len = len;
	if (iova < FAKE_BASE || iova - FAKE_BASE >= FAKE_BYTES)
		return NULL;
	if (!fake_range_count) {
		*ret_len = min(len, FAKE_BYTES - (iova - FAKE_BASE));
		return fake_memory + (iova - FAKE_BASE);
	}
	for (unsigned i = 0; i < fake_range_count; i++) {
		struct fake_range *r = &fake_ranges[i];

		if (iova < r->iova || iova - r->iova >= r->len || (write && !r->writable))
			continue;
		*ret_len = min(len, r->len - (iova - r->iova));
		return fake_memory + (iova - FAKE_BASE);
	}
	return NULL;
}

static int fake_peer(struct hw_device *hw, u64 off, u8 *buf, size_t len, bool write)
{
	for (size_t done = 0; done < len; done += 4) {
		u32 val = 0;

		if (!write) {
			val = (u32)hw->model->bar_read(hw, 0, off + done, 4);
			memcpy(buf + done, &val, min(len - done, (size_t)4));
			continue;
		}
		memcpy(&val, buf + done, min(len - done, (size_t)4));
		hw->model->bar_write(hw, 0, off + done, 4, val);
	}
	return 0;
}

static int fake_dma(struct hw_dma *dma, u64 iova, u8 *buf, size_t len, bool write)
{
	if (!len || len > HW_DMA_MAX)
		abort();
	if (!__atomic_load_n(&dma->hw->mastering, __ATOMIC_ACQUIRE))
		return -EPERM;
	if (dma->hw->dma_delay_us && len >= 4096)
		usleep(dma->hw->dma_delay_us);
	if (iova >= FAKE_BAR && iova < FAKE_BAR + 0x4000 && len <= FAKE_BAR + 0x4000 - iova)
		return fake_peer(dma->hw, iova - FAKE_BAR, buf, len, write);
	while (len) {
		u64 n;
		u8 *mem = fake_find(iova, len, write, &n);

		if (!mem)
			return -EFAULT;
		if (write && n == 1)
			__atomic_store_n(mem, *buf,
					 __ATOMIC_RELEASE); /* a phase tag, which the driver polls */
		else if (guard_copy(write ? mem : buf, write ? buf : mem, n))
			return -EIO;
		iova += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int hw_dma_read(struct hw_dma *dma, uint64_t iova, void *buf, size_t len)
{
	return fake_dma(dma, iova, buf, len, false);
}

int hw_dma_write(struct hw_dma *dma, uint64_t iova, const void *buf, size_t len)
{
	return fake_dma(dma, iova, (u8 *)(uintptr_t)buf, len, true);
}

int hw_copy(void *dst, const void *src, size_t len_bytes)
{
	return guard_copy(dst, src, len_bytes) ? -EIO : 0;
}

/* ---- interrupts, threads, words ---- */

bool hw_msi(struct hw_device *hw, unsigned vector)
{
	if (vector >= 65)
		abort();
	if (!atomic_load(&hw->msix))
		return false;
	atomic_fetch_add(&hw->msi[vector], 1);
	return true;
}

void hw_intx(struct hw_device *hw, bool asserted)
{
	atomic_store(&hw->intx, asserted);
	atomic_fetch_add(&hw->intx_edges, 1);
}

bool hw_msi_enabled(const struct hw_device *hw)
{
	return atomic_load(&((struct hw_device *)(uintptr_t)hw)->msix);
}

static void *fake_thread(void *arg)
{
	struct hw_thread *thread = arg;

	thread->run(thread->arg);
	return NULL;
}

int hw_thread_start(struct hw_device *hw, const char *name, void (*run)(void *arg), void *arg,
		    struct hw_thread **ret)
{
	struct hw_thread *thread = hw->no_threads ? NULL : calloc(1, sizeof(*thread));

	if (!thread)
		return -ENOMEM;
	thread->run = run;
	thread->arg = arg;
	*ret = thread;
	atomic_fetch_add(&hw->threads, 1);
	if (pthread_create(&thread->thread, NULL, fake_thread, thread))
		abort();
	return 0;
}

void hw_thread_join(struct hw_thread *thread)
{
	pthread_join(thread->thread, NULL);
	free(thread);
	atomic_fetch_sub(&fake.threads, 1);
}

void hw_explain(struct hw_device *hw, const char *fmt, ...)
{
	va_list args;

	atomic_fetch_add(&hw->explained, 1);
	pthread_mutex_lock(&hw->explain_lock);
	va_start(args, fmt);
	vsnprintf(hw->last_explained, sizeof(hw->last_explained), fmt, args);
	va_end(args);
	pthread_mutex_unlock(&hw->explain_lock);
}

/* ---- for tests ---- */

static int fake_create(const char *(*options)[2])
{
	int ret;

	guard_install(); /* each time: cmocka sets handlers of its own */
	if (!fake_memory)
		fake_memory =
			mmap(NULL, FAKE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fake_range_count = 0;
	fake.model = &nvme_model;
	fake.options = options;
	fake.mastering = true;
	fake.dma_delay_us = 0;
	fake.no_threads = false;
	atomic_store(&fake.msix, false);
	atomic_store(&fake.intx, false);
	atomic_store(&fake.intx_edges, 0);
	for (unsigned i = 0; i < 65; i++)
		atomic_store(&fake.msi[i], 0);
	ret = fake.model->create(&fake);
	if (ret) {
		free(fake.bar);
		fake.bar = NULL;
	}
	return ret;
}

static void fake_destroy(void)
{
	fake.model->destroy(&fake);
	free(fake.bar);
	fake.bar = NULL;
}

static inline void fake_forget_stores(void)
{
	while (fake_store_count)
		close(fake_stores[--fake_store_count].fd);
}

static inline void fake_map(u64 iova, u64 len, bool writable)
{
	fake_ranges[fake_range_count++] = (struct fake_range){ iova, len, writable };
}

#endif
