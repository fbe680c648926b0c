/*
 * What is known of the files of one folder of pull records, in memory and bounded: the least
 * recently used go first. For pull_records.c only. Loop thread.
 */
#pragma once

#include "image/pull_records_disk.h"

#define PULL_CACHE_MAX_BYTES (1 * MiB) /* of content */

struct pull_cache; /* opaque */

struct pull_cache *pull_cache_new(size_t max_entries);
void pull_cache_free(struct pull_cache *cache);

/** Takes up @file (copied) in the place of what was known of it. */
void pull_cache_put(struct pull_cache *cache, const struct pull_file *file);
/** The folder holds nothing else: what is not here is not there. Until something has to go. */
void pull_cache_set_complete(struct pull_cache *cache);
/** What is known of the file @name; false: nothing. Its texts are borrowed until the next put. */
bool pull_cache_get(struct pull_cache *cache, const char *name, struct pull_file *ret);
/** How full it is, in percent. */
double pull_cache_usage(const struct pull_cache *cache);
