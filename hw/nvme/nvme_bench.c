/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme_bench.c - what a command costs in the model itself: over fake_hw.h, where a DMA is a bounds
 * check and a memcpy, with no trap, no IOMMU and no front end.
 *
 *	nvme_bench [MILLISECONDS [MEDIA-BYTES]]
 */
#include "hw/nvme/fake_driver.h"

static u64 run_ns = 500000000;
static u64 media_bytes = 64 << 20;

static void bench(const char *name, u8 opcode, u32 depth, u32 kbytes)
{
	struct drv_queue *q = &drv_q[1];
	u32 blocks = kbytes * 2, span = (u32)(media_bytes / 512) / blocks;
	u64 buffers = drv_alloc((u64)depth * kbytes * 1024);
	u64 list = drv_alloc((u64)depth * 4096);
	u64 began = drv_now_ns(), done = 0, ns;

	do {
		for (u32 i = 0; i < depth; i++) {
			u64 at = buffers + (u64)i * kbytes * 1024;
			struct nvme_cmd cmd = drv_rw(opcode, (u64)((done + i) * 2654435761u % span) * blocks,
						     blocks, at, at + 4096);

			if (kbytes > 8) {
				for (u32 p = 1; p < kbytes / 4; p++)
					((u64 *)drv_mem(list + i * 4096ull))[p - 1] = at + p * 4096;
				cmd.prp2 = list + i * 4096ull;
			}
			drv_queue_cmd(q, &cmd);
		}
		drv_ring(q);
		for (u32 i = 0; i < depth; i++) {
			struct nvme_cqe cqe;

			if (!drv_wait(q, &cqe) || cqe.status >> 1)
				abort();
		}
		drv_ack(q);
		done += depth;
		ns = drv_now_ns() - began;
	} while (ns < run_ns);
	printf("%-6s %4u KiB  depth %3u  %8.0f ns/command  %9.0f/s  %7.2f GB/s  %u threads\n", name, kbytes,
	       depth, (double)ns / (double)done, (double)done * 1e9 / (double)ns,
	       (double)done * kbytes * 1024 / (double)ns, atomic_load(&fake.threads));
}

int main(int argc, char **argv)
{
	static const u32 depths[] = { 1, 32, 128 };
	const char *options[][2] = { { "size", argc > 2 ? argv[2] : "67108864" }, { NULL, NULL } };

	if (argc > 1)
		run_ns = strtoull(argv[1], NULL, 0) * 1000000;
	if (argc > 2)
		media_bytes = strtoull(argv[2], NULL, 0);
	if (fake_create(options) || drv_enable(16, 16) != NVME_CSTS_RDY ||
	    drv_create_pair(1, 256, 256, 0, false))
		return 1;
	for (u32 i = 0; i < ARRAY_SIZE(depths); i++) {
		u64 brk = drv_brk;

		bench("read", NVME_IO_READ, depths[i], 4);
		drv_brk = brk;
		bench("write", NVME_IO_WRITE, depths[i], 4);
		drv_brk = brk;
		bench("read", NVME_IO_READ, depths[i], 64);
		drv_brk = brk;
		bench("read", NVME_IO_READ, depths[i], 256);
		drv_brk = brk;
	}
	fake_destroy();
	return 0;
}
