/* SPDX-License-Identifier: MIT */
/* admin.h - requests about topics. */
#ifndef BUSD_ADMIN_H
#define BUSD_ADMIN_H

#include "server.h"
#include "topic.h"

/* Find, or say in the answer why not. Return: 0, BUS_ENOENT, BUS_ENAME. */
int busd_admin_get(struct busd_worker *w, const struct bus_msg *ask,
		   struct busd_answer *answer, struct busd_topic **ret);

/* requests; each fills the answer and returns its status */

int busd_admin_create(struct busd_worker *w, struct busd_client *c,
		      struct bus_msg *ask, struct busd_answer *answer);
int busd_admin_alter(struct busd_worker *w, struct busd_client *c,
		     struct bus_msg *ask, struct busd_answer *answer);
int busd_admin_delete(struct busd_worker *w, struct busd_client *c,
		      struct bus_msg *ask, struct busd_answer *answer);
int busd_admin_next(struct busd_worker *w, struct busd_client *c,
		    struct bus_msg *ask, struct busd_answer *answer);
int busd_admin_describe(struct busd_worker *w, struct busd_client *c,
			struct bus_msg *ask, struct busd_answer *answer);

#endif
