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

#endif
