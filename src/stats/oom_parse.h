/*
 * Records of /dev/kmsg. A process may write lines of its own there when it may write the device,
 * and its name is in the kernel's lines, so nothing is trusted but that the kernel wrote it
 * (facility 0). Pure; any thread.
 */
#pragma once

#include "base/base.h"

#define OOM_MAX_CGROUP_BYTES 4096

/**
 * One @record as read() gives it: "6,1234,5678,-;oom-kill:constraint=…,task_memcg=/a/b,task=x,…".
 * True when it tells an OOM kill; *ret_cgroup is then where the killed process was, borrowed from
 * @record.
 */
MUST_CHECK bool oom_parse_record(struct str record, struct str *ret_cgroup);
