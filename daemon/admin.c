/* SPDX-License-Identifier: MIT */
/*
 * admin.c - requests about topics: create, alter, delete, list, describe.
 *
 * What is known to fail is found before anything is changed, and said with the
 * name, the value and the remedy in it. The order of the changes themselves,
 * for a worker that is killed in between, is in topic.c.
 */
#include "admin.h"

#include <errno.h>
#include <string.h>

#include "file.h"
#include "log.h"
#include "roll.h"

#define MEMORY_LEFT (UINT64_C(64) << 20) /* for everybody else */

/* ---- Names ------------------------------------------------------------ */

static int check_name(const char *name, struct busd_answer *answer)
{
	if (busd_topic_name_ok(name))
		return 0;
	busd_answer_text(answer, "\"%s\" is not a legal topic name", name);
	return BUS_ENAME;
}

int busd_admin_get(struct busd_worker *w, const struct bus_msg *ask,
		   struct busd_answer *answer, struct busd_topic **ret)
{
	int e = check_name(ask->topic, answer);

	if (e < 0)
		return e;
	*ret = busd_topic_find(w, ask->topic);
	if (*ret)
		return 0;
	busd_answer_text(answer,
			 "there is no topic %s; create it: bus topic create %s",
			 ask->topic, ask->topic);
	return BUS_ENOENT;
}

/* ---- Creating --------------------------------------------------------- */

/* Say no before the kernel's way of saying it, which is to kill somebody. */
static int check_memory(uint64_t bytes, struct busd_answer *answer)
{
	uint64_t have = busd_memory_available();

	if (have >= MEMORY_LEFT && have - MEMORY_LEFT >= bytes)
		return 0;
	busd_answer_text(answer,
			 "%llu MiB of memory are needed; %llu MiB are "
			 "available, of which %llu must be left to others",
			 (unsigned long long)(bytes >> 20),
			 (unsigned long long)(have >> 20),
			 (unsigned long long)(MEMORY_LEFT >> 20));
	return BUS_ENOMEM;
}

/* What a failed allocation of whatever kind means to the client. */
static int explain(int error, struct busd_answer *answer)
{
	if (error == -EMFILE || error == -ENFILE || error == -ETOOMANYREFS) {
		busd_answer_text(answer,
				 "busd has no descriptors left (ulimit -n)");
		return BUS_EMFILE;
	}
	busd_answer_text(answer, "memory for the rings: %s", strerror(-error));
	return BUS_ENOMEM;
}

/* CREATE of a topic that is there: fine if it asks for just that. */
static int compare(const struct busd_topic *t, uint32_t partitions,
		   const struct busd_settings *s, struct busd_answer *answer)
{
	struct busd_settings have;
	char why[256];

	busd_settings_load(&have, t->shm_page);
	if (partitions != t->n_partitions)
		busd_answer_text(answer,
				 "topic %s is there with %u partitions, not %u",
				 t->shm_page->name, t->n_partitions,
				 partitions);
	else if (busd_settings_differ(&have, s, why, sizeof(why)))
		busd_answer_text(answer, "topic %s is there: its %s",
				 t->shm_page->name, why);
	else
		return 0;
	return BUS_EEXIST;
}

static int check_partitions(uint32_t n, struct busd_answer *answer)
{
	if (n && n <= BUS_PARTITIONS_MAX)
		return 0;
	busd_answer_text(answer, "%u partitions: 1 to %u are allowed", n,
			 BUS_PARTITIONS_MAX);
	return BUS_ERANGE;
}

int busd_admin_create(struct busd_worker *w, struct busd_client *c,
		      struct bus_msg *ask, struct busd_answer *answer)
{
	uint32_t n = ask->partition ? ask->partition : 1;
	struct busd_settings s;
	struct busd_topic *t;
	char why[512];
	int e = check_name(ask->topic, answer);

	(void)c;
	busd_settings_init(&s);
	if (!e)
		e = check_partitions(n, answer);
	if (e < 0)
		return e;
	e = busd_settings_apply(&s, ask->text, why, sizeof(why));
	if (e < 0) {
		busd_answer_text(answer, "%s", why);
		return e;
	}
	t = busd_topic_find(w, ask->topic);
	if (t)
		return compare(t, n, &s, answer);
	e = check_memory(n * busd_partition_bytes(&s), answer);
	if (e < 0)
		return e;
	e = busd_topic_new(w, ask->topic, n, &s);
	if (e < 0)
		return explain(e, answer);
	busd_info("topic %s created, %u partitions of %llu bytes", ask->topic,
		  n, (unsigned long long)s.value[BUSD_RING_BYTES]);
	return 0;
}

/* ---- Altering --------------------------------------------------------- */

/* Whether the newest ring is not as the settings say. */
static bool must_roll(const struct busd_partition *p,
		      const struct busd_settings *s)
{
	const struct bus_ring_head *h = busd_partition_newest(p)->shm_head;

	return h->ring_bytes != s->value[BUSD_RING_BYTES] ||
	       h->frame_max != busd_settings_frame_max(s) ||
	       h->one != (s->value[BUSD_PRODUCERS] == BUS_PRODUCERS_ONE);
}

/* What is known to fail is found before anything is changed. */
static int check_alter(struct busd_topic *t, uint32_t n,
		       const struct busd_settings *s,
		       struct busd_answer *answer)
{
	uint64_t rings = n - t->n_partitions;

	for (uint32_t i = 0; i < t->n_partitions; i++) {
		if (!must_roll(t->partition[i], s))
			continue;
		rings++;
		if (busd_roll_check(t->partition[i]) < 0) {
			busd_answer_text(answer,
					 "a send in %s/%u does not end: see "
					 "bus stat for which producer is stuck",
					 t->shm_page->name, i);
			return BUS_EBUSY;
		}
	}
	return rings ? check_memory(rings * busd_partition_bytes(s), answer) :
		       0;
}

static int roll_all(struct busd_worker *w, struct busd_topic *t,
		    const struct busd_settings *s)
{
	int e = 0;

	for (uint32_t i = 0; i < t->n_partitions && !e; i++)
		if (must_roll(t->partition[i], s))
			e = busd_roll(w, t->partition[i], s);
	return e;
}

int busd_admin_alter(struct busd_worker *w, struct busd_client *c,
		     struct bus_msg *ask, struct busd_answer *answer)
{
	struct busd_settings s;
	struct busd_topic *t;
	uint32_t n;
	char why[512];
	int e = busd_admin_get(w, ask, answer, &t);

	(void)c;
	if (e < 0)
		return e;
	busd_settings_load(&s, t->shm_page);
	e = busd_settings_apply(&s, ask->text, why, sizeof(why));
	if (e < 0) {
		busd_answer_text(answer, "%s", why);
		return e;
	}
	n = ask->partition ? ask->partition : t->n_partitions;
	if (n < t->n_partitions) {
		busd_answer_text(answer,
				 "topic %s has %u partitions: they can be "
				 "added, not taken away",
				 ask->topic, t->n_partitions);
		return BUS_ERANGE;
	}
	e = check_partitions(n, answer);
	if (!e)
		e = check_alter(t, n, &s, answer);
	if (e < 0)
		return e;
	e = roll_all(w, t, &s);
	if (!e)
		e = busd_topic_grow(w, t, n, &s);
	if (e < 0)
		return explain(e, answer);
	busd_settings_store(&s, t->shm_page);
	busd_topic_publish(t);
	busd_info("topic %s altered", ask->topic);
	return 0;
}

/* ---- Deleting --------------------------------------------------------- */

int busd_admin_delete(struct busd_worker *w, struct busd_client *c,
		      struct bus_msg *ask, struct busd_answer *answer)
{
	struct busd_topic *t;
	int e = busd_admin_get(w, ask, answer, &t);

	/* Asked again, since the worker before died having done it? */
	if (e == BUS_ENOENT &&
	    c->held.msg.info[BUSD_INFO_DELETE] == ask->request) {
		answer->msg.text_size = 0;
		return 0;
	}
	if (e < 0)
		return e;
	c->held.msg.info[BUSD_INFO_DELETE] = ask->request;
	e = busd_worker_hold(w, &c->held, 2);
	if (e < 0)
		return explain(e, answer);
	busd_topic_end(t);
	busd_topic_retire(w, t);
	busd_info("topic %s deleted", ask->topic);
	return 0;
}

/* ---- Looking ---------------------------------------------------------- */

int busd_admin_next(struct busd_worker *w, struct busd_client *c,
		    struct bus_msg *ask, struct busd_answer *answer)
{
	const char *best = NULL;
	struct busd_topic *t;

	(void)c;
	cds_list_for_each_entry(t, &w->topics, link) {
		const char *name = t->shm_page->name;

		if (strcmp(name, ask->topic) > 0 &&
		    (!best || strcmp(name, best) < 0))
			best = name;
	}
	memset(answer->msg.topic, 0, sizeof(answer->msg.topic));
	if (best)
		strcpy(answer->msg.topic, best);
	return 0;
}

int busd_admin_describe(struct busd_worker *w, struct busd_client *c,
			struct bus_msg *ask, struct busd_answer *answer)
{
	struct busd_settings s;
	struct busd_topic *t;
	char text[1024];
	int e = busd_admin_get(w, ask, answer, &t);

	(void)c;
	if (e < 0)
		return e;
	busd_settings_load(&s, t->shm_page);
	busd_settings_print(&s, text, sizeof(text));
	busd_answer_text(answer, "%s", text);
	answer->msg.partition = t->n_partitions;
	answer->msg.arg[0] = t->held.msg.key;
	return 0;
}
