/* SPDX-License-Identifier: MIT */
/* release.h - slots and consumer lines that come back. */
#ifndef BUSD_RELEASE_H
#define BUSD_RELEASE_H

#include "topic.h"

/* A consumer line is free. */
void busd_release_line(const struct busd_partition *p, uint32_t i);

/*
 * Free the slots that were given back, as far as their frames can be resolved
 * now, and wake those who wait in this partition.
 */
void busd_release_given(struct busd_worker *w, struct busd_partition *p);

/*
 * Take back what a client owns: all of it if it is @dead; if only its socket
 * hung up, what is proven to be used no more.
 * Return: whether it still owns something.
 */
bool busd_release_client(struct busd_worker *w, uint64_t client, bool dead);

/* Look again at what waits for a live producer. */
void busd_release_retry(struct busd_worker *w);

/* A new worker has built a topic: what the one before may have left. */
void busd_release_resume(struct busd_worker *w, struct busd_topic *t);

#endif
