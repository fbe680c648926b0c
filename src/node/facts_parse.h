/*
 * The formats in which the kernel tells what a machine is, and the arithmetic on them. Pure: text
 * in, value out. What is malformed is passed over or "not there", never a crash, since kernels and
 * containers of /proc differ. Texts are borrowed. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

/* What is read of a file at most; each of the functions below copies no more than one line. */
#define FACTS_FILE_MAX_BYTES (64 * KiB)
/* 128 bytes a route, and a node of a large cluster has one for every other node. */
#define FACTS_ROUTES_MAX_BYTES (4 * MiB)

/**
 * The line "@key    24684012 kB" of /proc/meminfo in bytes; @key includes its colon ("MemTotal:").
 * The first line that begins with @key and holds a number decides. False, and @ret_bytes untouched,
 * when there is none, or when its bytes do not fit.
 */
MUST_CHECK bool facts_parse_meminfo(struct str text, const char *key, int64_t *ret_bytes);

/** A whole file that is one number, 0 or more, with blanks around it. False, and @ret untouched,
 * for anything else. */
MUST_CHECK bool facts_parse_number(struct str text, int64_t *ret);

/** True when /proc/swaps lists anything below its heading. */
bool facts_has_swap(struct str text);

/**
 * The name in os-release: behind the first "PRETTY_NAME=", wherever in its line, to the line's end,
 * without double quotes around it. "Linux" when there is none. In @arena or static.
 */
const char *facts_parse_os_name(struct str text, struct arena *arena);

/** The first two numbers of "6.1.0-27-amd64". False, and nothing written, for anything else. */
MUST_CHECK bool facts_parse_kernel(struct str release, unsigned *ret_major, unsigned *ret_minor);

/** An id as a file holds it, without blanks around it and, as in a device tree, NULs behind it. */
struct str facts_parse_id(struct str text);

/** The number in "hugepages-2048kB", a folder's name; 0 for any other name, and for one whose
 * bytes would not fit. */
int64_t facts_hugepage_kib(const char *name);

/** "hugepages-2Mi": the resource that pages of @kib KiB are in a node's capacity. In @arena. */
const char *facts_hugepage_resource(int64_t kib, struct arena *arena);

/**
 * "2MB", "1GB", …, smallest page first and NULL at the end (spec runtime.md §3.14, recorded order).
 * @sizes_kib is sorted in place; sizes are powers of two, so the unit above is always whole. The
 * texts live in @arena.
 */
const char *const *facts_hugepage_texts(int64_t *sizes_kib, size_t count, struct arena *arena);

/**
 * An eviction threshold as an amount: a quantity, or a percentage of @capacity. As in Kubernetes a
 * percentage is a float32, so that amounts agree to the byte, and "0%" and "100%" mean no threshold
 * (spec node.md §5.4, resources.md). 0 for NULL and for what is neither.
 */
int64_t facts_threshold(const char *text, int64_t capacity);

/** @capacity less @reserved less @threshold, never below 0. Negative amounts count as they are. */
int64_t facts_allocatable(int64_t capacity, int64_t reserved, int64_t threshold);

/** Whether @text of /proc/self/attr/current is a label that a policy has given; before one is
 * loaded all of them are "kernel". */
bool facts_is_selinux_label(struct str text);

/** The smaller of kernel.pid_max and kernel.threads-max; 0 stands for one that is not known. */
int64_t facts_max_pids(int64_t pid_max, int64_t threads_max);
