/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.h - what hw_save() appends to and hw_load() takes from (stream.c); for hw/core and tests of models. */
#ifndef HW_CORE_STREAM_H
#define HW_CORE_STREAM_H

#include <softvfio/hw.h>

#include "kernel/lib/types.h"

struct hw_stream {
	u8 *buf;
	size_t len, room; /* written: so far, allocated; read: all, 0 */
	size_t at;	  /* read: the next */
	int err;	  /* the first error */
};

#endif
