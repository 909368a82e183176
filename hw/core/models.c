/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models.c - the built-in models.  A new one adds two lines here and its files to hw/meson.build.
 */
#include <string.h>

#include "hw/core/hw_device.h"

extern const struct hw_model edu_model, ioat_model, nvme_model, pl330_model, platdev_model, root_port_model;
extern const struct hw_model pcitest_model;

const struct hw_model *const hw_models[] = {
	&edu_model,
	&ioat_model,
	&nvme_model,
	&pl330_model,
	&platdev_model,
	&root_port_model,
	&pcitest_model,
	NULL,
};

const struct hw_model *hw_model_find(const char *name)
{
	for (const struct hw_model *const *m = hw_models; *m; m++)
		if (!strcmp((*m)->name, name))
			return *m;
	return NULL;
}
