/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject.c - faults on order: the third interrupt is lost, the link goes down, a reset hangs.
 *
 * An order is a line of text; the same grammar serves the key inject= and `softvfio inject`:
 *
 *	ORDERS	ORDER[+ORDER]...
 *	ORDER	FAULT[:ARGUMENT][@N][xTIMES]	strikes at the Nth event of its kind from now on (1), and
 *						TIMES in a row (1; * without end)
 *
 * Each fault waits for one kind of event: a DMA transfer, an interrupt, a reset, or an access to a
 * register.  Events are counted for each order from the moment it was given, so that the same run meets
 * the same fault.  A fault that waits for an access, given without @N to a running device, strikes at once.
 *
 * A device without orders pays for this with one load of a pointer per event.  The list of orders only
 * grows, under a lock, and is read without one: an order is complete before it is linked.
 *
 * A device whose link is down, or whose reset hangs, is as good as not there (hw_down): reads are all ones,
 * writes go nowhere, nothing comes out.  What the host makes of that (its memory, its drivers) is the
 * host's.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/hw_core.h"
#include "kernel/lib/explain.h"
#include "kernel/lib/sys.h"

#define MAX_ORDERS 64u	      /* in one text */
#define MAX_ORDERS_ALL 10000u /* of a device's life */
#define FOREVER (~0ull)
#define MAX_DELAY_NS (60ull * 1000000000u)
#define DEFAULT_DELAY_NS 10000000u
#define ORDER_BYTES 64u

enum event { EVENT_DMA, EVENT_IRQ, EVENT_RESET, EVENT_ACCESS };
enum fault {
	FAULT_DMA, FAULT_SLOW_DMA, FAULT_LOSE_IRQ, FAULT_SPURIOUS_IRQ, FAULT_HANG_RESET, FAULT_LINK_DOWN,
	FAULT_LINK_UP, FAULT_REMOVE, FAULT_AER_CORRECTABLE, FAULT_AER_NONFATAL, FAULT_AER_FATAL, NR_FAULTS,
};
enum argument { NO_ARGUMENT, DELAY, VECTOR };

static const struct kind {
	const char *name;
	enum event event;
	enum argument argument;
	bool once; /* striking twice is no more than striking once */
	const char *help;
} kinds[NR_FAULTS] = {
	[FAULT_DMA] = {"dma-fault", EVENT_DMA, NO_ARGUMENT, false, "a DMA transfer finds nothing mapped"},
	[FAULT_SLOW_DMA] = {"slow-dma", EVENT_DMA, DELAY, false, "a DMA transfer takes longer (:500us, :10ms, :2s; 10ms)"},
	[FAULT_LOSE_IRQ] = {"lose-irq", EVENT_IRQ, NO_ARGUMENT, false, "an interrupt does not arrive"},
	[FAULT_SPURIOUS_IRQ] = {"spurious-irq", EVENT_ACCESS, VECTOR, false, "an interrupt without a cause (:VECTOR; 0)"},
	[FAULT_HANG_RESET] = {"hang-reset", EVENT_RESET, NO_ARGUMENT, false, "the device does not come back from a reset"},
	[FAULT_LINK_DOWN] = {"link-down", EVENT_ACCESS, NO_ARGUMENT, true, "nobody answers any more, until link-up"},
	[FAULT_LINK_UP] = {"link-up", EVENT_ACCESS, NO_ARGUMENT, true, "the link is back, the device as after a reset"},
	[FAULT_REMOVE] = {"remove", EVENT_ACCESS, NO_ARGUMENT, true, "the device is pulled out"},
	[FAULT_AER_CORRECTABLE] = {"aer-correctable", EVENT_ACCESS, NO_ARGUMENT, false, "the device reports a receiver error"},
	[FAULT_AER_NONFATAL] = {"aer-nonfatal", EVENT_ACCESS, NO_ARGUMENT, false, "the device reports a completion timeout"},
	[FAULT_AER_FATAL] = {"aer-fatal", EVENT_ACCESS, NO_ARGUMENT, false, "the device reports a malformed packet"},
};

struct order {
	/* immutable once linked */
	const struct kind *kind;
	u64 first, times, argument; /* first 0: was not said */
	char text[ORDER_BYTES];	    /* as it was given */

	atomic_uint_least64_t seen;
	_Atomic(struct order *) next;
};

struct hw_inject {
	_Atomic(struct order *) first;
	struct mutex lock;	       /* LOCK_HW_INJECT: what follows, and linking */
	_Atomic(struct order *) *tail; /* where the next one is linked */
	unsigned nr;
};

/* ---- the grammar ------------------------------------------------------------------------------ */

static int no_fault(const char *name, size_t len)
{
	char known[384] = "";
	size_t at = 0;

	for (unsigned i = 0; i < NR_FAULTS && at < sizeof(known); i++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", i ? ", " : "", kinds[i].name);
	return fail(-EINVAL, "there is no fault \"%.*s\"; there are %s", (int)min(len, (size_t)32), name, known);
}

static const struct kind *find_kind(const char *name, size_t len)
{
	for (unsigned i = 0; i < NR_FAULTS; i++)
		if (strlen(kinds[i].name) == len && !strncmp(kinds[i].name, name, len))
			return &kinds[i];
	return NULL;
}

/* Decimal digits at *@at, which moves behind them. */
static bool take_number(const char **at, u64 *ret)
{
	u64 val = 0;
	const char *p = *at;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(val, 10, &val) || __builtin_add_overflow(val, *p - '0', &val))
			return false;
	*at = p;
	*ret = val;
	return true;
}

static bool take_word(const char **at, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*at, word, len))
		return false;
	*at += len;
	return true;
}

static bool take_delay(const char **at, u64 *ret_ns)
{
	u64 unit;

	if (!take_number(at, ret_ns))
		return false;
	if (take_word(at, "us"))
		unit = 1000;
	else if (take_word(at, "ms"))
		unit = 1000000;
	else if (take_word(at, "s"))
		unit = 1000000000;
	else
		return false;
	return !__builtin_mul_overflow(*ret_ns, unit, ret_ns) && *ret_ns <= MAX_DELAY_NS;
}

static int parse_argument(struct order *o, const char **at)
{
	bool good = true;

	o->argument = o->kind->argument == DELAY ? DEFAULT_DELAY_NS : 0;
	if (!take_word(at, ":"))
		return 0;
	if (o->kind->argument == NO_ARGUMENT)
		return fail(-EINVAL, "%s takes no argument", o->kind->name);
	if (o->kind->argument == DELAY)
		good = take_delay(at, &o->argument);
	else
		good = take_number(at, &o->argument) && o->argument < HW_MSIX_MAX;
	if (good)
		return 0;
	return o->kind->argument == DELAY
		       ? fail(-EINVAL, "%s: a delay is written :500us, :10ms or :2s, and is 60s at most", o->kind->name)
		       : fail(-EINVAL, "%s: an interrupt vector is a number below %u", o->kind->name, HW_MSIX_MAX);
}

static int parse_order(struct order *o, const char *text, size_t len)
{
	size_t name_len = strcspn(text, ":@x+");
	const char *at = o->text;
	int err;

	if (len >= sizeof(o->text) || !len)
		return fail(-EINVAL, "an order has 1 to %u characters: FAULT[:ARGUMENT][@N][xTIMES]", ORDER_BYTES - 1);
	memcpy(o->text, text, len);
	o->text[len] = '\0';
	name_len = min(name_len, len);
	o->kind = find_kind(at, name_len);
	if (!o->kind)
		return no_fault(at, name_len);
	at += name_len;
	err = parse_argument(o, &at);
	if (err)
		return err;
	o->first = 0;
	o->times = 1;
	if (take_word(&at, "@") && (!take_number(&at, &o->first) || !o->first))
		return fail(-EINVAL, "%s: behind @ stands a count from 1 on: %s@3 is the third %s", o->text, o->kind->name,
			    o->kind->event == EVENT_DMA	    ? "transfer"
			    : o->kind->event == EVENT_IRQ   ? "interrupt"
			    : o->kind->event == EVENT_RESET ? "reset"
							    : "register access");
	if (*at == 'x' && o->kind->once)
		return fail(-EINVAL, "%s: %s happens once", o->text, o->kind->name);
	if (take_word(&at, "x*"))
		o->times = FOREVER;
	else if (take_word(&at, "x") && (!take_number(&at, &o->times) || !o->times))
		return fail(-EINVAL, "%s: behind x stands how many times, from 1 on, or * for ever", o->text);
	if (*at)
		return fail(-EINVAL, "\"%s\" is not understood: write FAULT[:ARGUMENT][@N][xTIMES], as in lose-irq@3 or dma-fault@100x5",
			    o->text);
	return 0;
}

/* All orders of @text into @orders.  Return: how many; -errno. */
static int parse_orders(const char *text, struct order *orders, unsigned room)
{
	unsigned nr = 0;

	for (;; text++) {
		size_t len = strcspn(text, "+");
		int err;

		if (nr == room)
			return fail(-ENOSPC, "a device takes at most %u orders for faults", MAX_ORDERS);
		err = parse_order(&orders[nr++], text, len);
		if (err)
			return err;
		text += len;
		if (!*text)
			return (int)nr;
	}
}

int hw_inject_check(const char *text)
{
	struct order *orders = calloc(MAX_ORDERS, sizeof(*orders));
	int nr;

	if (!orders)
		return -ENOMEM;
	nr = parse_orders(text, orders, MAX_ORDERS);
	free(orders);
	return nr < 0 ? nr : 0;
}

const char *hw_inject_help(unsigned n, const char **ret_text)
{
	if (n >= NR_FAULTS)
		return NULL;
	*ret_text = kinds[n].help;
	return kinds[n].name;
}

/* ---- what a fault does ------------------------------------------------------------------------ */

static void told(struct hw_device *hw, const struct order *o, u64 seen, const char *what)
{
	static const char *const events[] = {"transfer", "interrupt", "reset", "register access"};

	atomic_fetch_add_explicit(&hw->injected, 1, memory_order_relaxed);
	if (unlikely(explain_enabled) && seen)
		hw_explain(hw, "injected %s strikes at %s %llu: %s", o->text, events[o->kind->event],
			   (unsigned long long)seen, what);
	else if (unlikely(explain_enabled))
		hw_explain(hw, "injected %s: %s", o->text, what);
}

void hw_set_down(struct hw_device *hw, unsigned why, bool down)
{
	unsigned before = down ? atomic_fetch_or(&hw->down, why) : atomic_fetch_and(&hw->down, ~why);
	unsigned after = down ? before | why : before & ~why;

	if (!before != !after && hw->host_ops->pages_changed)
		hw->host_ops->pages_changed(hw->host);
	if ((before ^ after) & HW_DOWN_LINK && hw->host_ops->link_changed)
		hw->host_ops->link_changed(hw->host, !(after & HW_DOWN_LINK));
}

void hw_unplug(struct hw_device *hw)
{
	hw_set_down(hw, HW_DOWN_LINK, true);
	if (hw->host_ops->removed)
		hw->host_ops->removed(hw->host);
}

static void spurious_irq(struct hw_device *hw, unsigned vector)
{
	if (hw->nr_wires && hw->host_ops->wire)
		hw->host_ops->wire(hw->host, min(vector, hw->nr_wires - 1));
	if (hw_msi_inject(hw, vector))
		return;
	if (hw->pin && hw->host_ops->intx) {
		hw->host_ops->intx(hw->host, true);
		hw->host_ops->intx(hw->host, hw_intx_level(hw));
	}
}

/* A device without AER, or whose driver switched reporting off, says itself that nobody hears of it. */
static void aer(struct hw_device *hw, const struct order *o, u64 seen, bool uncorrectable, u32 bit, const char *what)
{
	told(hw, o, seen, what);
	hw_aer_report(hw, uncorrectable, bit, NULL);
}

static void strike(struct hw_device *hw, const struct order *o, u64 seen)
{
	switch (o->kind - kinds) {
	case FAULT_SPURIOUS_IRQ:
		told(hw, o, seen, "an interrupt that nothing caused");
		spurious_irq(hw, (unsigned)o->argument);
		break;
	case FAULT_LINK_DOWN:
		told(hw, o, seen, "the link is down: reads are all ones, writes are lost, no DMA, no interrupts");
		hw_set_down(hw, HW_DOWN_LINK, true);
		break;
	case FAULT_LINK_UP:
		told(hw, o, seen, "the link is up, and the device as after a reset");
		hw_set_down(hw, HW_DOWN_LINK, false);
		hw_reset(hw, true);
		break;
	case FAULT_REMOVE:
		told(hw, o, seen, "the device is pulled out: reads are all ones, its driver is told to let go");
		hw_unplug(hw);
		break;
	case FAULT_AER_CORRECTABLE:
		aer(hw, o, seen, false, PCI_ERR_COR_RCVR, "a receiver error, which is correctable");
		break;
	case FAULT_AER_NONFATAL:
		aer(hw, o, seen, true, PCI_ERR_UNC_COMP_TIME, "a completion timeout, which is not fatal");
		break;
	case FAULT_AER_FATAL:
		aer(hw, o, seen, true, PCI_ERR_UNC_MALF_TLP, "a malformed packet, which is fatal");
		break;
	default:
		break;
	}
}

static bool is_over(const struct order *o)
{
	u64 first = max(o->first, (u64)1), seen = atomic_load_explicit(&o->seen, memory_order_relaxed);

	return o->times != FOREVER && seen >= first && seen - first >= o->times - 1;
}

/* One more event for this order.  Return: its number if the order strikes now; else 0. */
static u64 count(struct order *o)
{
	u64 first = max(o->first, (u64)1), seen;

	if (is_over(o))
		return 0;
	seen = atomic_fetch_add_explicit(&o->seen, 1, memory_order_relaxed) + 1;
	return seen >= first && (o->times == FOREVER || seen - first < o->times) ? seen : 0;
}

#define for_each_order(o_, inject_)								\
	for (struct order *o_ = atomic_load_explicit(&(inject_)->first, memory_order_acquire); o_;	\
	     o_ = atomic_load_explicit(&o_->next, memory_order_acquire))

/* Does it wait for that event, and strike now?  Return: the event's number; 0. */
static u64 strikes(struct order *o, enum event event)
{
	return o->kind->event == event ? count(o) : 0;
}

/* ---- events ----------------------------------------------------------------------------------- */

bool hw_inject_dma(struct hw_device *hw, struct hw_inject *inject)
{
	bool faults = false;
	u64 seen;

	for_each_order(o, inject) {
		seen = strikes(o, EVENT_DMA);
		if (!seen)
			continue;
		if (o->kind == &kinds[FAULT_SLOW_DMA]) {
			const struct timespec delay = {(time_t)(o->argument / 1000000000u),
						       (long)(o->argument % 1000000000u)};

			told(hw, o, seen, "it takes longer");
			sys_ppoll(NULL, 0, &delay);
		} else {
			told(hw, o, seen, "nothing is mapped there");
			faults = true;
		}
	}
	return faults;
}

bool hw_inject_irq(struct hw_device *hw, struct hw_inject *inject, unsigned vector)
{
	bool lost = false;
	char what[48];
	u64 seen;

	for_each_order(o, inject) {
		seen = strikes(o, EVENT_IRQ);
		if (!seen)
			continue;
		snprintf(what, sizeof(what), vector == HW_INTX ? "the pin's interrupt is lost" : "vector %u is lost", vector);
		told(hw, o, seen, what);
		lost = true;
	}
	return lost;
}

bool hw_inject_reset(struct hw_device *hw, struct hw_inject *inject)
{
	bool hangs = false;
	u64 seen;

	for_each_order(o, inject) {
		seen = strikes(o, EVENT_RESET);
		if (!seen)
			continue;
		told(hw, o, seen, "the device does not come back");
		hangs = true;
	}
	return hangs;
}

void hw_inject_access(struct hw_device *hw, struct hw_inject *inject)
{
	u64 seen;

	for_each_order(o, inject) {
		seen = strikes(o, EVENT_ACCESS);
		if (seen)
			strike(hw, o, seen);
	}
}

/* ---- giving orders ---------------------------------------------------------------------------- */

static struct hw_inject *inject_get(struct hw_device *hw)
{
	struct hw_inject *inject = atomic_load(&hw->inject), *none = NULL;

	if (inject)
		return inject;
	inject = calloc(1, sizeof(*inject));
	if (!inject)
		return NULL;
	mutex_init(&inject->lock, LOCK_HW_INJECT);
	inject->tail = &inject->first;
	if (atomic_compare_exchange_strong(&hw->inject, &none, inject))
		return inject;
	mutex_destroy(&inject->lock);
	free(inject);
	return none;
}

void hw_inject_free(struct hw_device *hw)
{
	struct hw_inject *inject = atomic_load(&hw->inject);
	struct order *o, *next;

	if (!inject)
		return;
	for (o = atomic_load(&inject->first); o; o = next) {
		next = atomic_load(&o->next);
		free(o);
	}
	mutex_destroy(&inject->lock);
	free(inject);
}

static bool strikes_at_once(const struct order *o, bool now)
{
	return now && o->kind->event == EVENT_ACCESS && !o->first;
}

/* All or none: each has its memory before the first is linked. */
static int link_orders(struct hw_inject *inject, const struct order *orders, unsigned nr, bool now)
{
	struct order *made[MAX_ORDERS], *o;
	unsigned n = 0;

	for (unsigned i = 0; i < nr; i++) {
		if (strikes_at_once(&orders[i], now))
			continue;
		o = malloc(sizeof(*o));
		if (!o) {
			while (n)
				free(made[--n]);
			return fail(-ENOMEM, "no memory for orders of faults");
		}
		memcpy(o, &orders[i], sizeof(*o));
		made[n++] = o;
	}
	mutex_lock(&inject->lock);
	for (unsigned i = 0; i < n; i++) {
		atomic_store_explicit(inject->tail, made[i], memory_order_release);
		inject->tail = &made[i]->next;
	}
	inject->nr += n;
	mutex_unlock(&inject->lock);
	return 0;
}

static bool is_full(struct hw_inject *inject)
{
	bool full;

	mutex_lock(&inject->lock);
	full = inject->nr > MAX_ORDERS_ALL;
	mutex_unlock(&inject->lock);
	return full;
}

static int give(struct hw_device *hw, struct hw_inject *inject, const struct order *orders, unsigned nr, bool now)
{
	int err = is_full(inject) ? fail(-ENOSPC, "%s had %u orders of faults, which is enough", hw->name, MAX_ORDERS_ALL)
				  : link_orders(inject, orders, nr, now);

	for (unsigned i = 0; !err && i < nr; i++) {
		if (!strikes_at_once(&orders[i], now))
			continue;
		for (u64 n = 0; n < min(orders[i].times, (u64)MAX_ORDERS_ALL); n++)
			strike(hw, &orders[i], 0);
	}
	return err;
}

int hw_inject(struct hw_device *hw, const char *text, bool now)
{
	struct order *orders = calloc(MAX_ORDERS, sizeof(*orders));
	struct hw_inject *inject = inject_get(hw);
	int nr, err;

	if (!orders || !inject) {
		free(orders);
		return fail(-ENOMEM, "no memory for orders of faults");
	}
	nr = parse_orders(text, orders, MAX_ORDERS);
	err = nr < 0 ? nr : give(hw, inject, orders, (unsigned)nr, now);
	free(orders);
	return err;
}

unsigned hw_inject_open(struct hw_device *hw, char *buf, size_t size)
{
	struct hw_inject *inject = atomic_load(&hw->inject);
	unsigned open = 0;
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	if (!inject)
		return 0;
	for_each_order(o, inject) {
		if (is_over(o))
			continue;
		if (len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", open ? "+" : "", o->text);
		open++;
	}
	return open;
}
