/* SPDX-License-Identifier: MIT */
/* attach.h - who owns which slot and which consumer line. */
#ifndef BUSD_ATTACH_H
#define BUSD_ATTACH_H

#include "server.h"
#include "topic.h"

/* requests; each fills the answer and returns its status */

int busd_attach(struct busd_worker *w, struct busd_client *c,
		struct bus_msg *ask, struct busd_answer *answer);
int busd_detach(struct busd_worker *w, struct busd_client *c,
		struct bus_msg *ask, struct busd_answer *answer);
int busd_next_ring(struct busd_worker *w, struct busd_client *c,
		   struct bus_msg *ask, struct busd_answer *answer);

/* clients that go */

/*
 * Take back what a client owns: all of it if it is @dead; if only its socket
 * hung up, what is proven to be used no more.
 * Return: whether it still owns something.
 */
bool busd_attach_release(struct busd_worker *w, uint64_t client, bool dead);

/* Look again at what waits for a live producer. */
void busd_attach_retry(struct busd_worker *w);

/* A new worker has built a topic: what the one before may have left. */
void busd_attach_resume(struct busd_worker *w, struct busd_topic *t);

#endif
