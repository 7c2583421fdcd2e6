/* SPDX-License-Identifier: MIT */
/* keeper.h - the process that holds every descriptor. */
#ifndef BUSD_KEEPER_H
#define BUSD_KEEPER_H

#include "hold.h"

/* Run until the instance ends. Return: the exit status. */
int busd_keeper_run(const struct busd_options *options);

#endif
