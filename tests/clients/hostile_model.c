/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostile_model.c - plugins that are wrong, one for each CASE_... that the build defines.
 *
 * Each is refused with one line that says what is wrong; none may take softvfio along.
 */
#include <errno.h>
#include <signal.h>
#include <softvfio/hw.h>
#include <stdlib.h>
#include <string.h>

/* What the linker finds nowhere. */
int hw_of_the_future(struct hw_device *hw) HW_API(hw_of_the_future);

static int create(struct hw_device *hw)
{
	static const struct hw_pci_id id = { .vendor = 0x1234, .device = 1, .class_code = 0xff0000 };
	static char big[65536];

#if defined(CASE_NO_IDENTITY)
	(void)id, (void)big;
	return 0;
#endif
	hw_pci_identify(hw, &id);
#if defined(CASE_CRASH)
	*(volatile int *)(uintptr_t)big[0] = 1;
#elif defined(CASE_ABORT)
	abort();
#elif defined(CASE_STACK)
	volatile char deep[1 << 16];

	memset((void *)deep, 1, sizeof(deep));
	return create(hw) + deep[7];
#elif defined(CASE_POSITIVE)
	return 7;
#elif defined(CASE_HUGE_ERRNO)
	return -2000000000;
#elif defined(CASE_ENODEV)
	hw_explain(hw, "the stars are not right");
	return -ENODEV;
#elif defined(CASE_CAPS)
	/* Lengths that wrap around 32 bits, and more than there is room for. */
	for (unsigned len = 0xfffffffeu; len > 0xffffff00u; len -= 7)
		if (hw_cap_add(hw, 9, big, big, len) >= 0 || hw_ext_cap_add(hw, 11, 1, big, big, len) >= 0)
			return 0;
	if (hw_cap_add_msix(hw, 2048, 4000000000u, 0xfffffff8u, 0xfffffff0u) >= 0 ||
	    hw_bar_add(hw, 4000000000u, 4096, 0) >= 0 || hw_bar_add(hw, 0, ~0ull, HW_BAR_MEM64) >= 0 ||
	    hw_bar_set_pages(hw, 77, 0, 4096, HW_PAGE_DIRECT) >= 0 || hw_bar_memory(hw, ~0u) || hw_option(hw, "x"))
		return 0;
	return -ENOSPC;
#elif defined(CASE_FUTURE)
	return hw_of_the_future(hw);
#endif
	return 0;
}

static const struct hw_key keys[] = {
	{ "speed", "N", "how fast" },
#if defined(CASE_KEY_TEXT)
	{ "bad key\n", NULL, NULL },
#endif
#if !defined(CASE_KEYS_OPEN)
	{ 0 },
#endif
};
#if defined(CASE_KEYS_OPEN)
static const struct hw_key *many_keys(void)
{
	static struct hw_key all[100];

	for (int i = 0; i < 100; i++)
		all[i] = keys[0];
	return all;
}
#endif

static struct hw_model model = {
	.name = "hostile",
	.summary = "a plugin that is wrong",
	.keys = keys,
	.create = create,
};

#define EXPORTED extern __attribute__((visibility("default"))) const struct hw_plugin softvfio_plugin; \
	__attribute__((visibility("default")))

#if defined(CASE_ABI)
EXPORTED const struct hw_plugin softvfio_plugin = { HW_ABI + 41, sizeof(struct hw_model), &model };
#elif defined(CASE_SMALL)
EXPORTED const struct hw_plugin softvfio_plugin = { HW_ABI, 8, &model };
#elif defined(CASE_NULL)
EXPORTED const struct hw_plugin softvfio_plugin = { HW_ABI, sizeof(struct hw_model), NULL };
#elif defined(CASE_WILD)
EXPORTED const struct hw_plugin softvfio_plugin = { HW_ABI, sizeof(struct hw_model), (const void *)0xdeadbeef000 };
#elif !defined(CASE_NO_SYMBOL)
HW_PLUGIN(model);
#endif

static __attribute__((constructor)) void load(void)
{
	(void)model;
#if defined(CASE_NAME)
	model.name = (const char *)16;
#elif defined(CASE_SUMMARY)
	model.summary = "two\nlines";
#elif defined(CASE_NO_CREATE)
	model.create = NULL;
#elif defined(CASE_NO_CODE)
	model.bar_read = (void *)(uintptr_t)&model;
#elif defined(CASE_KEYS_OPEN)
	model.keys = many_keys();
#elif defined(CASE_CONSTRUCTOR)
	raise(SIGSEGV);
#endif
}
