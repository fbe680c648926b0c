/*
 * What volumes and claims have in common. For strategy_volume.c and strategy_claim.c only. Pure.
 * Any thread.
 */
#pragma once

#include "kube/validation.h"

/* Both ended by NULL. */
extern const char *const volume_access_modes[];
extern const char *const volume_modes[];

/** Records unknown modes, and ReadWriteOncePod beside others. */
void volume_check_access_modes(struct validation *v, const struct field_path *path,
                               char *const *modes, size_t count);
/** "must be greater than zero". */
void volume_check_positive(struct validation *v, const struct field_path *path,
                           const Meta__Quantity *quantity);
