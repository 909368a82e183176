/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults_nomem_test.c - each allocation fails in turn: of loading a plugin, of orders of faults, and of attaching to
 * a machine that can be reached and answering a call there.
 *
 * usage: faults_nomem_test PLUGIN.  The wrapping of allocations is that of nomem_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/lib/explain.h"
#include "machine/machine.h"
#include "tests/stress/host_nomem.h"

#define EDU "0000:01:00.0"

static const char *plugin;
static char dir[64];

static void quiet(const char *line) { (void)line; }

/* The n-th allocation fails, for n = 1, 2 ... until @flow needs fewer; it returns 0 or -ENOMEM. */
static void sweep(int (*flow)(void))
{
	long n = 0;
	int ret;

	do {
		atomic_store(&failed_one, false);
		atomic_store(&countdown, ++n);
		explain_begin();
		ret = flow();
		atomic_store(&countdown, 0);
		if (ret && ret != -ENOMEM)
			print_error("allocation %ld: %d, %s\n", n, ret, explain_take());
		assert_true(ret == 0 || (ret == -ENOMEM && atomic_load(&failed_one)));
		assert_true(n < 100000);
	} while (atomic_load(&failed_one));
	assert_int_equal(ret, 0);
	assert_true(n > 1);
}

/* A plugin is loaded once, so the flow goes by a new name each time: more slashes. */
static int load_plugin(void)
{
	static unsigned n;
	struct machine_config *cfg = machine_config_new();
	char text[4096];
	int err;

	if (!cfg)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%.*s%s,max=64K,inject=lose-irq@3+dma-fault", (int)(++n % 100),
		 "////////////////////////////////////////////////////////////////////////////////////////////////////", plugin);
	err = machine_config_add(cfg, text);
	machine_config_free(cfg);
	return err;
}

static void test_plugin(void **state)
{
	sweep(load_plugin);
}

static int order_faults(void)
{
	return machine_inject(EDU, "lose-irq@1000+dma-fault@2000x3+slow-dma:1ms@3000");
}

/* What a caller gets is an answer, or nothing. */
static int ask_state(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char answer[40000];
	ssize_t n;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/run/%d", dir, getpid());
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(send(fd, "state", 5, 0), 5);
	n = recv(fd, answer, sizeof(answer) - 1, 0);
	close(fd);
	if (n <= 0)
		return -ENOMEM;
	answer[n] = '\0';
	assert_memory_equal(answer, "process ", 8);
	return 0;
}

static void test_running(void **state)
{
	sweep(order_faults);
	sweep(ask_state);
}

/* Without memory for its thread a process is not reached; that is no reason not to run. */
static int attach_and_detach(void)
{
	int err = machine_attach_lazy(dir);

	if (!err)
		err = machine_attach();
	machine_detach();
	return err;
}

static void test_attach(void **state)
{
	machine_detach();
	sweep(attach_and_detach);
}

static int setup(void **state)
{
	struct machine_config *cfg = machine_config_new();

	explain_enable();
	explain_set_sink(quiet);
	snprintf(dir, sizeof(dir), "/tmp/softvfio-faults-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(machine_config_add(cfg, "edu,inject=lose-irq@7"), 0);
	assert_int_equal(machine_create(dir, cfg), 0);
	machine_config_free(cfg);
	assert_int_equal(machine_control_allow(dir), 0);
	assert_int_equal(machine_attach_lazy(dir), 0);
	return machine_attach();
}

static int teardown(void **state)
{
	machine_detach();
	machine_destroy(dir);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plugin), cmocka_unit_test(test_running), cmocka_unit_test(test_attach),
	};

	plugin = realpath(argc > 1 ? argv[1] : "crc.so", NULL);
	if (!plugin) {
		print_error("usage: faults_nomem_test PLUGIN\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
