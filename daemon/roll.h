/* SPDX-License-Identifier: MIT */
/* roll.h - closing a ring for good, and going on in another one. */
#ifndef BUSD_ROLL_H
#define BUSD_ROLL_H

#include "partition.h"

/*
 * Whether a send in the newest ring does not end: waits some milliseconds for
 * those under way. Return: 0 or -EBUSY.
 */
int busd_roll_check(const struct busd_partition *p);

/*
 * Close the newest ring but one, whose successor is there, not open yet.
 * Goes on where a worker that was killed left it.
 */
void busd_roll_finish(struct busd_partition *p);

/*
 * Go on in a new ring of these settings, whatever is stuck in the old one.
 * Return: 0 or -errno: then the old one stays open.
 */
int busd_roll(struct busd_worker *w, struct busd_partition *p,
	      const struct busd_settings *s);

/* Close the newest ring with nothing to follow. Idempotent. */
void busd_roll_end(struct busd_partition *p);

#endif
