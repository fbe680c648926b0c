#include "stats/oom_parse.h"

#include "tests/lib/test.h"

#define KILL                                                                                       \
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c1,mems_allowed=0,"               \
    "oom_memcg=/kubepods/pod1,task_memcg=/kubepods/pod1/c1,task=stress,pid=42,uid=0"

TEST_CASE(a_kill_names_the_cgroup_of_the_killed)
{
    static const struct {
        const char *record, *cgroup; /* NULL: no kill */
    } rows[] = {
        {"6,1234,5678,-;" KILL "\n SUBSYSTEM=x\n", "/kubepods/pod1/c1"},
        {"4,1,2,c,caller=T1;" KILL, "/kubepods/pod1/c1"},
        {"6,1,2,-;oom-kill:task_memcg=/a,b,task=x,task=y,pid=1", "/a,b"},
        {"6,1,2,-;oom-kill:task_memcg=/,task=x,pid=1", "/"},
        /* a process wrote it: facility 1 */
        {"14,1,2,-;" KILL, NULL},
        {"6,1,2,-;say " KILL, NULL},
        {"6,1,2,-;first line\n" KILL, NULL},
        {"6,1,2,-;oom-kill:task_memcg=/a", NULL},
        {"6,1,2,-;oom-kill:task_memcg=,task=x", NULL},
        {"6,1,2,-;oom-kill:task_memcg=a,task=x", NULL},
        {"6,1,2,-;oom-kill:constraint=none", NULL},
        {"6,1,2,-;Killed process 42 (stress)", NULL},
        {"x,1,2,-;" KILL, NULL},
        {"66666,1,2,-;" KILL, NULL},
        {KILL, NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str cgroup = {0};
        bool is_kill = oom_parse_record(str_from(rows[i].record), &cgroup);
        if (is_kill != (rows[i].cgroup != NULL) || (is_kill && !str_eq_c(cgroup, rows[i].cgroup)))
            fail_msg("%s: %.*s", rows[i].record, STR_ARG(cgroup));
    }
}

TEST_MAIN(TEST(a_kill_names_the_cgroup_of_the_killed))
