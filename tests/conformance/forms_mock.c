/* SPDX-License-Identifier: BSD-3-Clause */
/* forms_mock.c - the questions of forms.c to a mock device, which has vIOMMUs, nested tables and queues. */
#define MOCK
#include "tests/conformance/forms.c"
