/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * irq.c - interrupts: MSI-X, MSI, and the pin.
 *
 * A message is a DMA write of the device, so it needs bus mastering like any other.  A vector that is
 * masked when its event comes sets its pending bit instead; whatever unmasks it sends it then.
 *
 * The pin is a level.  The model says what it wants; the line that the host sees is that level unless
 * INTx disable, MSI or MSI-X gate it off.  The host is told of changes of the line only.
 *
 * All decisions are made under irq_lock, all sending is done without it: hw_irq_update() takes one
 * message at a time out of the pending bits.  Two threads that update at once therefore may tell the
 * host "high" and "low" in either order, but the last "high" always follows the level's last rise.
 *
 * An interrupt that goes nowhere is the commonest puzzle of driver bring-up: each such place explains
 * itself, once per event that becomes pending or is lost.
 *
 * Sources: PCI Local Bus 3.0, 6.8 (MSI, MSI-X), 6.2.2 and 6.2.3 (command, status).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"

#define MSIX_ENTRY_WORDS 4
#define MSIX_CTRL_MASKED 1u

#define lost(hw, ...) do { if (unlikely(explain_enabled)) hw_explain((hw), __VA_ARGS__); } while (0)

struct message {
	u64 addr;
	u32 data;
};

/* ---- capabilities: in create() --------------------------------------------------------------- */

int hw_cap_add_msi(struct hw_device *hw, unsigned vectors, bool addr64, bool maskable)
{
	unsigned data = addr64 ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;
	unsigned len = maskable ? data + 12 : data + 2;
	u8 body[24] = { 0 }, writable[24] = { 0 };
	unsigned lg2;
	int off;

	if (!vectors || vectors > HW_MSI_MAX || vectors & (vectors - 1))
		return fail(-EINVAL, "MSI has 1, 2, 4, 8, 16 or 32 vectors, not %u", vectors);
	lg2 = (unsigned)__builtin_ctz(vectors);
	/* body[i] is the byte at offset i + 2 of the capability */
	hw_cfg_put16(body, (u16)(lg2 << 1 | (addr64 ? PCI_MSI_FLAGS_64BIT : 0) |
				 (maskable ? PCI_MSI_FLAGS_MASKBIT : 0)));
	hw_cfg_put16(writable, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	hw_cfg_put32(writable + PCI_MSI_ADDRESS_LO - 2, 0xfffffffc);
	if (addr64)
		hw_cfg_put32(writable + PCI_MSI_ADDRESS_HI - 2, ~0u);
	hw_cfg_put16(writable + data - 2, 0xffff);
	if (maskable)
		hw_cfg_put32(writable + data + 4 - 2, (u32)((1ull << vectors) - 1));
	off = hw_cap_add(hw, PCI_CAP_ID_MSI, body, writable, len - 2);
	if (off < 0)
		return off;
	hw->msi_cap = (u8)off;
	hw->msi_64 = addr64;
	hw->msi_maskable = maskable;
	hw->msi_vectors = vectors;
	return off;
}

static u64 msix_table_bytes(unsigned vectors) { return vectors * 4ull * MSIX_ENTRY_WORDS; }
static u64 msix_pba_bytes(unsigned vectors) { return ALIGN_UP(vectors, 64u) / 8; }

static bool overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* Would the pages from @off on, for @len bytes, be trapped? */
static bool pages_trapped(const struct hw_bar *b, u64 off, u64 len)
{
	for (u64 page = off / HW_PAGE_BYTES; b->kinds && page <= (off + len - 1) / HW_PAGE_BYTES; page++)
		if (b->kinds[page] != HW_PAGE_TRAPPED)
			return false;
	return true;
}

static int msix_check(struct hw_device *hw, unsigned vectors, unsigned bar, u64 table, u64 pba)
{
	const struct hw_bar *b = bar < HW_BARS ? &hw->bars[bar] : NULL;

	if (!vectors || vectors > HW_MSIX_MAX)
		return fail(-EINVAL, "MSI-X has 1 to %u vectors, not %u", HW_MSIX_MAX, vectors);
	if (!b || !b->size_bytes || b->flags & HW_BAR_IO)
		return fail(-EINVAL, "MSI-X table in BAR %u, which is no memory BAR of this device", bar);
	if (!IS_ALIGNED(table | pba, 8ull))
		return fail(-EINVAL, "MSI-X table and pending bits must be aligned to 8 bytes");
	if (table + msix_table_bytes(vectors) > b->size_bytes ||
	    pba + msix_pba_bytes(vectors) > b->size_bytes)
		return fail(-EINVAL, "MSI-X table or pending bits reach behind the end of BAR %u", bar);
	if (overlap(table, msix_table_bytes(vectors), pba, msix_pba_bytes(vectors)))
		return fail(-EINVAL, "MSI-X table and pending bits overlap");
	if (!pages_trapped(b, table, msix_table_bytes(vectors)) ||
	    !pages_trapped(b, pba, msix_pba_bytes(vectors)))
		return fail(-EINVAL, "MSI-X table and pending bits must lie in trapped pages");
	return 0;
}

int hw_cap_add_msix(struct hw_device *hw, unsigned vectors, unsigned bar, uint32_t table_off,
		    uint32_t pba_off)
{
	u8 body[10] = { 0 }, writable[10] = { 0 };
	u32 *table;
	u64 *pending;
	int off = msix_check(hw, vectors, bar, table_off, pba_off);

	if (off)
		return off;
	if (hw->msix_cap)
		return fail(-EBUSY, "MSI-X was added before");
	table = calloc(vectors, sizeof(u32) * MSIX_ENTRY_WORDS);
	pending = calloc(1, msix_pba_bytes(vectors));
	if (!table || !pending) {
		off = -ENOMEM;
		goto err_free;
	}
	hw_cfg_put16(body, (u16)(vectors - 1));
	hw_cfg_put16(writable, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	hw_cfg_put32(body + PCI_MSIX_TABLE - 2, table_off | bar);
	hw_cfg_put32(body + PCI_MSIX_PBA - 2, pba_off | bar);
	off = hw_cap_add(hw, PCI_CAP_ID_MSIX, body, writable, sizeof(body));
	if (off < 0)
		goto err_free;
	hw->msix_cap = (u8)off;
	hw->msix_vectors = vectors;
	hw->msix_bar = bar;
	hw->msix_table_off = table_off;
	hw->msix_pba_off = pba_off;
	hw->irq.msix_table = table;
	hw->irq.msix_pending = pending;
	for (unsigned v = 0; v < vectors; v++)
		table[v * MSIX_ENTRY_WORDS + 3] = MSIX_CTRL_MASKED;
	return off;

err_free:
	free(table);
	free(pending);
	return off;
}

void hw_irq_free(struct hw_device *hw)
{
	free(hw->irq.msix_table);
	free(hw->irq.msix_pending);
}

/* ---- what config space says ------------------------------------------------------------------- */

static void msi_config_locked(struct hw_device *hw)
{
	const u8 *cap = hw->cfg + hw->msi_cap;
	u16 ctrl = hw_cfg_get16(cap + PCI_MSI_FLAGS);
	unsigned data = hw->msi_64 ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;
	unsigned granted = 1u << ((ctrl & PCI_MSI_FLAGS_QSIZE) >> 4);
	struct hw_irq *irq = &hw->irq;

	irq->msi_enabled = ctrl & PCI_MSI_FLAGS_ENABLE;
	irq->msi_granted = min(granted, hw->msi_vectors);
	irq->msi_addr = hw_cfg_get32(cap + PCI_MSI_ADDRESS_LO);
	if (hw->msi_64)
		irq->msi_addr |= (u64)hw_cfg_get32(cap + PCI_MSI_ADDRESS_HI) << 32;
	irq->msi_data = hw_cfg_get16(cap + data);
	irq->msi_mask = hw->msi_maskable ? hw_cfg_get32(cap + data + 4) : 0;
	if (!irq->msi_enabled)
		irq->msi_pending = 0;
}

void hw_irq_config_locked(struct hw_device *hw)
{
	struct hw_irq *irq = &hw->irq;

	mutex_lock(&hw->irq_lock);
	irq->intx_disabled = hw_cfg_get16(hw->cfg + HW_CFG_COMMAND) & HW_CMD_INTX_DISABLE;
	if (hw->msi_cap)
		msi_config_locked(hw);
	if (hw->msix_cap) {
		u16 ctrl = hw_cfg_get16(hw->cfg + hw->msix_cap + PCI_MSIX_FLAGS);

		irq->msix_enabled = ctrl & PCI_MSIX_FLAGS_ENABLE;
		irq->msix_masked = ctrl & PCI_MSIX_FLAGS_MASKALL;
		if (!irq->msix_enabled)
			memset(irq->msix_pending, 0, msix_pba_bytes(hw->msix_vectors));
	}
	mutex_unlock(&hw->irq_lock);
}

void hw_irq_reset(struct hw_device *hw)
{
	struct hw_irq *irq = &hw->irq;

	mutex_lock(&hw->irq_lock);
	irq->level = false;
	irq->msi_pending = irq->msi_loaded = 0;
	memset(irq->msix_loaded, 0, sizeof(irq->msix_loaded));
	if (hw->msix_cap) {
		memset(irq->msix_table, 0, msix_table_bytes(hw->msix_vectors));
		memset(irq->msix_pending, 0, msix_pba_bytes(hw->msix_vectors));
		for (unsigned v = 0; v < hw->msix_vectors; v++)
			irq->msix_table[v * MSIX_ENTRY_WORDS + 3] = MSIX_CTRL_MASKED;
	}
	mutex_unlock(&hw->irq_lock);
	hw_irq_update(hw);
}

/* ---- sending ------------------------------------------------------------------------------- */

static void send_message(struct hw_device *hw, const struct message *msg)
{
	atomic_fetch_add_explicit(&hw->msi_sent, 1, memory_order_relaxed);
	if (hw->host_ops->msi)
		hw->host_ops->msi(hw->host, msg->addr, msg->data);
}

/* Vector @v goes out now as *@ret, or -EAGAIN: masked. */
static int msix_message_locked(struct hw_device *hw, unsigned v, struct message *ret)
{
	const u32 *entry = hw->irq.msix_table + v * MSIX_ENTRY_WORDS;

	if (hw->irq.quiesced || hw->irq.msix_masked || entry[3] & MSIX_CTRL_MASKED)
		return -EAGAIN;
	ret->addr = entry[0] | (u64)entry[1] << 32;
	ret->data = entry[2];
	return 0;
}

static int msi_message_locked(struct hw_device *hw, unsigned v, struct message *ret)
{
	const struct hw_irq *irq = &hw->irq;

	if (irq->quiesced || irq->msi_mask & 1u << v)
		return -EAGAIN;
	ret->addr = irq->msi_addr;
	ret->data = (irq->msi_data & ~(irq->msi_granted - 1)) | v;
	return 0;
}

/* -EAGAIN: became pending now; -EALREADY: was pending before; -ENXIO: no such vector */
static int raise_msix_locked(struct hw_device *hw, unsigned v, struct message *ret)
{
	u64 *word, bit = 1ull << v % 64;

	if (v >= hw->msix_vectors)
		return -ENXIO;
	if (!msix_message_locked(hw, v, ret))
		return 0;
	word = &hw->irq.msix_pending[v / 64];
	if (*word & bit)
		return -EALREADY;
	*word |= bit;
	return -EAGAIN;
}

static int raise_msi_locked(struct hw_device *hw, unsigned v, struct message *ret)
{
	v &= hw->irq.msi_granted - 1;
	if (!msi_message_locked(hw, v, ret))
		return 0;
	if (hw->irq.msi_pending & 1u << v)
		return -EALREADY;
	hw->irq.msi_pending |= 1u << v;
	return -EAGAIN;
}

static bool send_msi(struct hw_device *hw, unsigned vector)
{
	bool master = atomic_load(&hw->mastering), msix, msi;
	struct message msg = { 0 };
	int err = 0;

	mutex_lock(&hw->irq_lock);
	msix = hw->irq.msix_enabled;
	msi = hw->irq.msi_enabled;
	if (master && msix)
		err = raise_msix_locked(hw, vector, &msg);
	else if (master && msi)
		err = raise_msi_locked(hw, vector, &msg);
	mutex_unlock(&hw->irq_lock);

	if (!msix && !msi)
		return false;
	if (!master)
		lost(hw, "interrupt vector %u lost: bus mastering is off (command register bit 2)", vector);
	else if (err == -ENXIO)
		lost(hw, "interrupt vector %u lost: MSI-X has %u vectors", vector, hw->msix_vectors);
	else if (err == -EAGAIN)
		lost(hw, "interrupt vector %u is pending: it is masked in %s", vector,
		     msix ? "the MSI-X table or for the function" : "the MSI mask register, or the device is stopped");
	else if (!err)
		send_message(hw, &msg);
	return true;
}

bool hw_irq_is_lost(struct hw_device *hw, unsigned vector)
{
	if (likely(!hw_down(hw) && !hw_orders(hw)))
		return false;
	if (hw_down(hw)) {
		lost(hw, "an interrupt is lost: the link is down");
		return true;
	}
	return hw_inject_irq(hw, hw_orders(hw), vector);
}

bool hw_msi(struct hw_device *hw, unsigned vector)
{
	if (likely(!hw_down(hw) && !hw_orders(hw)))
		return send_msi(hw, vector);
	if (!hw_msi_enabled(hw))
		return false;
	return hw_irq_is_lost(hw, vector) || send_msi(hw, vector);
}

bool hw_msi_inject(struct hw_device *hw, unsigned v)
{
	return send_msi(hw, v);
}

/* The next pending message that nothing masks any more. */
static bool take_pending_locked(struct hw_device *hw, struct message *ret)
{
	struct hw_irq *irq = &hw->irq;

	if (irq->msix_enabled) {
		for (unsigned v = 0; !irq->msix_masked && v < hw->msix_vectors; v++) {
			u64 *word = &irq->msix_pending[v / 64];

			if (!*word) {
				v |= 63;
			} else if (*word & 1ull << v % 64 && !msix_message_locked(hw, v, ret)) {
				*word &= ~(1ull << v % 64);
				return true;
			}
		}
	} else if (irq->msi_enabled) {
		for (unsigned v = 0; irq->msi_pending && v < HW_MSI_MAX; v++)
			if (irq->msi_pending & 1u << v && !msi_message_locked(hw, v, ret)) {
				irq->msi_pending &= ~(1u << v);
				return true;
			}
	}
	return false;
}

void hw_irq_update(struct hw_device *hw)
{
	struct hw_irq *irq = &hw->irq;
	struct message msg = { 0 };
	bool more, line, changed;

	while (atomic_load(&hw->mastering)) {
		mutex_lock(&hw->irq_lock);
		more = take_pending_locked(hw, &msg);
		mutex_unlock(&hw->irq_lock);
		if (!more)
			break;
		send_message(hw, &msg);
	}
	mutex_lock(&hw->irq_lock);
	line = hw->pin && irq->level && !irq->intx_disabled && !irq->msi_enabled && !irq->msix_enabled;
	changed = line != irq->line && !irq->quiesced;
	if (changed)
		irq->line = line;
	mutex_unlock(&hw->irq_lock);
	if (!changed)
		return;
	if (line && hw_irq_is_lost(hw, HW_INTX))
		return; /* the line counts as high: the host hears of the next rise */
	if (line)
		atomic_fetch_add_explicit(&hw->intx_raised, 1, memory_order_relaxed);
	if (hw->host_ops->intx)
		hw->host_ops->intx(hw->host, line);
}

void hw_intx(struct hw_device *hw, bool asserted)
{
	bool rose, disabled, message;

	mutex_lock(&hw->irq_lock);
	rose = asserted && !hw->irq.level;
	hw->irq.level = asserted;
	disabled = hw->irq.intx_disabled;
	message = hw->irq.msi_enabled || hw->irq.msix_enabled;
	mutex_unlock(&hw->irq_lock);
	if (rose && !message && !hw->pin)
		lost(hw, "interrupt lost: neither MSI nor MSI-X is enabled, and there is no interrupt pin");
	else if (rose && !message && disabled)
		lost(hw, "interrupt pin is high but INTx is disabled (command register bit 10), "
			 "and neither MSI nor MSI-X is enabled");
	hw_irq_update(hw);
}

bool hw_msi_enabled(const struct hw_device *hw)
{
	struct hw_device *h = (struct hw_device *)(uintptr_t)hw; /* only its lock changes */
	bool on;

	mutex_lock(&h->irq_lock);
	on = h->irq.msi_enabled || h->irq.msix_enabled;
	mutex_unlock(&h->irq_lock);
	return on;
}

u32 hw_msi_pending(struct hw_device *hw)
{
	u32 pending;

	mutex_lock(&hw->irq_lock);
	pending = hw->irq.msi_pending;
	mutex_unlock(&hw->irq_lock);
	return pending;
}

bool hw_intx_level(struct hw_device *hw)
{
	bool level;

	mutex_lock(&hw->irq_lock);
	level = hw->pin && hw->irq.level;
	mutex_unlock(&hw->irq_lock);
	return level;
}

/* ---- the table and the pending bits, as memory of a BAR -------------------------------------- */

bool hw_msix_covers(const struct hw_device *hw, unsigned bar, u64 off, u64 len)
{
	if (!hw->msix_cap || bar != hw->msix_bar)
		return false;
	return overlap(off, len, hw->msix_table_off, msix_table_bytes(hw->msix_vectors)) ||
	       overlap(off, len, hw->msix_pba_off, msix_pba_bytes(hw->msix_vectors));
}

static bool in_table(const struct hw_device *hw, u64 off)
{
	return off >= hw->msix_table_off && off - hw->msix_table_off < msix_table_bytes(hw->msix_vectors);
}

/* The 32-bit word of table or pending bits that holds byte @off. */
static u32 msix_word_locked(struct hw_device *hw, u64 off)
{
	if (in_table(hw, off))
		return hw->irq.msix_table[(off - hw->msix_table_off) / 4];
	off -= hw->msix_pba_off;
	return (u32)(hw->irq.msix_pending[off / 8] >> 8 * (off & 4));
}

u64 hw_msix_read(struct hw_device *hw, u64 off, unsigned len)
{
	u64 val;

	mutex_lock(&hw->irq_lock);
	val = msix_word_locked(hw, off);
	if (len == 8)
		val |= (u64)msix_word_locked(hw, off + 4) << 32;
	mutex_unlock(&hw->irq_lock);
	val >>= 8 * (off & 3);
	return len == 8 ? val : val & ((1ull << 8 * len) - 1);
}

static void msix_store_locked(struct hw_device *hw, u64 off, unsigned len, u32 val)
{
	u32 *word = &hw->irq.msix_table[(off - hw->msix_table_off) / 4];
	unsigned shift = 8 * (off & 3);
	u32 mask = (len >= 4 ? ~0u : (1u << 8 * len) - 1) << shift;

	*word = (*word & ~mask) | (val << shift & mask);
}

void hw_msix_write(struct hw_device *hw, u64 off, unsigned len, u64 val)
{
	if (!in_table(hw, off))
		return; /* pending bits are read only */
	mutex_lock(&hw->irq_lock);
	msix_store_locked(hw, off, min(len, 4u), (u32)val);
	if (len == 8)
		msix_store_locked(hw, off + 4, 4, (u32)(val >> 32));
	mutex_unlock(&hw->irq_lock);
	hw_irq_update(hw);
}

/* ---- migration ------------------------------------------------------------------------------- */

/* What the stream brought joins what is pending, where the driver has set up the same kind of interrupt. */
static void merge_loaded_locked(struct hw_device *hw)
{
	struct hw_irq *irq = &hw->irq;

	for (unsigned i = 0; i * 64 < hw->msix_vectors; i++) {
		if (irq->msix_enabled)
			irq->msix_pending[i] |= irq->msix_loaded[i];
		irq->msix_loaded[i] = 0;
	}
	if (irq->msi_enabled)
		irq->msi_pending |= irq->msi_loaded;
	irq->msi_loaded = 0;
}

void hw_irq_quiesce(struct hw_device *hw, bool stop)
{
	mutex_lock(&hw->irq_lock);
	hw->irq.quiesced = stop;
	if (!stop)
		merge_loaded_locked(hw);
	mutex_unlock(&hw->irq_lock);
	if (!stop)
		hw_irq_update(hw);
}

void hw_irq_save(struct hw_device *hw, struct hw_stream *out)
{
	struct hw_irq *irq = &hw->irq;

	mutex_lock(&hw->irq_lock);
	hw_save_u64(out, irq->level);
	hw_save_u64(out, irq->msi_pending | irq->msi_loaded);
	hw_save_u64(out, hw->msix_vectors);
	for (unsigned i = 0; i * 64 < hw->msix_vectors; i++)
		hw_save_u64(out, irq->msix_pending[i] | irq->msix_loaded[i]);
	mutex_unlock(&hw->irq_lock);
}

int hw_irq_load(struct hw_device *hw, struct hw_stream *in)
{
	const u64 vectors = hw->msix_vectors, msi = hw->msi_vectors ? (1ull << hw->msi_vectors) - 1 : 0;
	u64 level, pending, count, words[HW_MSIX_MAX / 64] = { 0 };

	hw_load_u64(in, "level of the pin", 0, 1, &level);
	hw_load_u64(in, "pending bits of MSI", 0, msi, &pending);
	hw_load_u64(in, "vectors of MSI-X", vectors, vectors, &count);
	for (unsigned i = 0; i * 64 < vectors && !in->err; i++)
		hw_load_u64(in, "pending bits of MSI-X", 0,
			    vectors - 64 * i < 64 ? (1ull << (vectors - 64 * i)) - 1 : UINT64_MAX, &words[i]);
	if (in->err)
		return in->err;
	mutex_lock(&hw->irq_lock);
	hw->irq.level = level;
	hw->irq.msi_loaded = (u32)pending;
	memcpy(hw->irq.msix_loaded, words, sizeof(words));
	mutex_unlock(&hw->irq_lock);
	return 0;
}
