/* Runs a program, in a container, and writes down what was used there: by the standard of wait4(2), the same as for jobs that are processes.

       meter REPORT PROGRAM [ARGUMENT]...

   REPORT gets one line of 48 characters: bytes of resident memory of the largest process at its peak, microseconds of processor time of all processes.
   It is written at the end, and, from the first signal that is passed on to the program, twice a second, for what is killed says nothing any more.
   The exit code is the program's, 128 + the number of the signal that ended it, 127 if it is not there and 126 if it cannot be started.
   A report that cannot be written stays away. Without arguments it does nothing: whoever starts it learns that it can be started.

   It runs in any image, so it uses no library but the kernel. `make meter` makes meter-x86_64 and meter-aarch64 from it. */

typedef unsigned long word;

/* SHA-256 of this file as it was compiled, so that a test sees when the programs are those of an older one. */
__attribute__((used, retain)) static const char source[] = SOURCE;

enum { AT_CWD = -100, WRONLY = 1, CREATE = 0100, TRUNCATE = 01000, CLOSE_ON_EXEC = 02000000 };
enum { BLOCK_ALL = 0, SET_MASK = 2, MASK_BYTES = 8, NO_HANG = 1, CHILDREN = -1, SUBREAPER = 36 };
enum { NOT_THERE = -2, NOT_A_PROGRAM = -8, TRY_AGAIN = -11, FORBIDDEN = -13, NOT_A_FOLDER = -20 };
enum { CHILD_ENDED = 17, TICK_US = 10000, REPORT_BYTES = 48 };

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, SIGACTION = 13, SIGMASK = 14, PWRITE = 18, GETPID = 39, CLONE = 56, EXECVE = 59, WAIT4 = 61, KILL = 62 };
enum { GETRUSAGE = 98, SETPGID = 109, GETPPID = 110, SIGTIMEDWAIT = 128, PRCTL = 157, LISTING = 217, EXIT_GROUP = 231, OPENAT = 257 };

static long call(long number, word a, word b, word c, word d, word e) {
    register word r10 __asm__("r10") = d;
    register word r8 __asm__("r8") = e;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
}

__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, CLOSE = 57, SIGACTION = 134, SIGMASK = 135, PWRITE = 68, GETPID = 172, CLONE = 220, EXECVE = 221, WAIT4 = 260, KILL = 129 };
enum { GETRUSAGE = 165, SETPGID = 154, GETPPID = 173, SIGTIMEDWAIT = 137, PRCTL = 167, LISTING = 61, EXIT_GROUP = 94, OPENAT = 56 };

static long call(long number, word a, word b, word c, word d, word e) {
    register long x8 __asm__("x8") = number;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return (long)x0;
}

__asm__(".globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n bl begin\n");
#endif

struct usage {
    long user_s, user_us, system_s, system_us, max_rss_kib, others[13];
};

struct used {
    word bytes, cpu_us;
};

/* The compiler may put calls of these where it likes. */
void *memset(void *place, int value, word count) {
    for (word i = 0; i < count; i++) ((volatile char *)place)[i] = (char)value;
    return place;
}

void *memcpy(void *place, const void *source, word count) {
    for (word i = 0; i < count; i++) ((volatile char *)place)[i] = ((const char *)source)[i];
    return place;
}

__attribute__((noreturn)) static void leave(int code) {
    for (;;) call(EXIT_GROUP, (word)code, 0, 0, 0, 0);
}

static word length(const char *text) {
    word n = 0;
    while (text[n]) n++;
    return n;
}

static void say(const char *text) { call(WRITE, 2, (word)text, length(text), 0, 0); }

/* Where the rest of `text` begins if it begins with `start`, else 0. */
static const char *after(const char *text, const char *start) {
    while (*start)
        if (*text++ != *start++) return 0;
    return text;
}

static const char *number_in(const char *text, word *number) {
    while (*text == ' ' || *text == '\t') text++;
    for (*number = 0; *text >= '0' && *text <= '9'; text++) *number = *number * 10 + (word)(*text - '0');
    return text;
}

/* --- the program */

static long execute(char **argv, char **env) {
    const char *name = argv[0], *path = "/usr/local/bin:/usr/bin:/bin";
    for (const char *c = name; *c; c++)
        if (*c == '/') return call(EXECVE, (word)name, (word)argv, (word)env, 0, 0);
    for (char **variable = env; *variable; variable++)
        if (after(*variable, "PATH=")) path = after(*variable, "PATH=");
    long error = NOT_THERE;
    char full[4096];
    for (word room = sizeof full - length(name) - 2; length(name) < sizeof full / 2;) {
        word n = 0;
        for (; *path && *path != ':'; path++)
            if (n < room) full[n++] = *path;
        if (n) full[n++] = '/';
        memcpy(full + n, name, length(name) + 1);
        long result = call(EXECVE, (word)full, (word)argv, (word)env, 0, 0);
        if (result != NOT_THERE && result != NOT_A_FOLDER) error = result;
        if (!*path++ || (error != NOT_THERE && error != FORBIDDEN)) break;
    }
    return error;
}

/* In the child: become the program, or say why not. */
static void start(char **argv, char **env, const word *mask) {
    call(SETPGID, 0, 0, 0, 0, 0); /* `kill 0` of the program is not for this process */
    call(SIGMASK, SET_MASK, (word)mask, 0, MASK_BYTES, 0);
    long error = execute(argv, env);
    say("could not start '");
    say(argv[0]);
    say(error == NOT_THERE || error == NOT_A_FOLDER ? "': not found\n"
        : error == FORBIDDEN                        ? "': permission denied\n"
        : error == NOT_A_PROGRAM                    ? "': not a program of this machine\n"
                                                    : "': the system refused\n");
    leave(error == NOT_THERE || error == NOT_A_FOLDER ? 127 : 126);
}

/* --- what was used */

static const char *read_file(word process, const char *name, char *text, word room) {
    char path[64] = "/proc/", digits[24];
    word n = 6, count = 0;
    for (; process; process /= 10) digits[count++] = (char)('0' + process % 10);
    while (count) path[n++] = digits[--count];
    memcpy(path + n, name, length(name) + 1);
    long file = call(OPENAT, (word)AT_CWD, (word)path, CLOSE_ON_EXEC, 0, 0);
    if (file < 0) return 0;
    long got = call(READ, (word)file, (word)text, room - 1, 0, 0);
    call(CLOSE, (word)file, 0, 0, 0, 0);
    text[got > 0 ? got : 0] = 0;
    return text;
}

/* Add what one living process, and its children that have ended, used. */
static void add_process(word process, struct used *used) {
    char text[4096];
    const char *rest = 0;
    if (!read_file(process, "/stat", text, sizeof text)) return;
    for (const char *c = text; *c; c++)
        if (*c == ')') rest = c + 1; /* a name may have brackets and blanks */
    for (int field = 3; rest && *rest && field < 14; rest++)
        if (*rest == ' ') field++;
    for (int field = 14; rest && field < 18; field++) {
        word ticks;
        rest = number_in(rest, &ticks);
        used->cpu_us += ticks * TICK_US;
    }
    if (!read_file(process, "/status", text, sizeof text)) return;
    for (const char *line = text; *line; line++) {
        const char *found = after(line, "\nVmHWM:");
        word kib = 0;
        if (found) number_in(found, &kib);
        if (kib * 1024 > used->bytes) used->bytes = kib * 1024;
    }
}

/* Add what lives in this container; where the processes to be seen are not only its own that is not possible, and the answer 0. */
static int add_living(struct used *used) {
    word self = (word)call(GETPID, 0, 0, 0, 0, 0);
    if (self != 1 && call(GETPPID, 0, 0, 0, 0, 0) != 1) return 0;
    long folder = call(OPENAT, (word)AT_CWD, (word) "/proc", CLOSE_ON_EXEC, 0, 0);
    if (folder < 0) return 0;
    char entries[4096] __attribute__((aligned(8)));
    for (long got; (got = call(LISTING, (word)folder, (word)entries, sizeof entries, 0, 0)) > 0;)
        for (long at = 0; at < got; at += *(unsigned short *)(entries + at + 16)) {
            word process;
            number_in(entries + at + 19, &process);
            if (process > 1 && process != self) add_process(process, used);
        }
    call(CLOSE, (word)folder, 0, 0, 0, 0);
    return 1;
}

static void put_number(char *line, word end, word number) {
    do line[end--] = (char)('0' + number % 10);
    while (number /= 10);
}

static void report(long file, int ended, int living) {
    static word seen_bytes; /* of what lived before, and whose parent does not tell of it */
    struct usage children = {0};
    call(GETRUSAGE, (word)CHILDREN, (word)&children, 0, 0, 0);
    struct used used = {(word)children.max_rss_kib * 1024, 0};
    used.cpu_us = (word)(children.user_s + children.system_s) * 1000000 + (word)(children.user_us + children.system_us);
    if (living && !add_living(&used) && !ended) return;
    if (used.bytes < seen_bytes) used.bytes = seen_bytes;
    seen_bytes = used.bytes;
    char line[REPORT_BYTES];
    memset(line, ' ', sizeof line);
    put_number(line, 22, used.bytes);
    put_number(line, 46, used.cpu_us);
    line[47] = '\n';
    call(PWRITE, (word)file, (word)line, sizeof line, 0, 0);
}

/* --- the time between */

/* Reap all that have ended: whether `child` was among them, whose end is then in `status`, and whether others live. */
static int reap(long child, int *status, int *living) {
    int ended = 0, one;
    long pid;
    while ((pid = call(WAIT4, (word)-1, (word)&one, NO_HANG, 0, 0)) > 0)
        if (pid == child) {
            *status = one;
            ended = 1;
        }
    *living = pid == 0;
    return ended;
}

/* Pass signals on until the program has ended; its status. */
static int follow(long child, long file, int *living) {
    const word all = ~0UL, half_second[2] = {0, 500000000};
    int status = 0, asked = 0;
    for (;;) {
        long number = call(SIGTIMEDWAIT, (word)&all, 0, asked ? (word)half_second : 0, MASK_BYTES, 0);
        if (number == CHILD_ENDED && reap(child, &status, living)) return status;
        if (number > 0 && number != CHILD_ENDED) {
            call(KILL, (word)child, (word)number, 0, 0, 0);
            asked = 1;
            report(file, 0, 1);
        }
        if (number == TRY_AGAIN) report(file, 0, 1);
    }
}

__attribute__((used, noreturn)) void begin(word *stack) {
    char **argv = (char **)(stack + 1), **env = argv + stack[0] + 1;
    if (stack[0] < 3) leave(0);
    word all = ~0UL, mask = 0, by_default[4] = {0};
    int living = 0;
    long file = call(OPENAT, (word)AT_CWD, (word)argv[1], WRONLY | CREATE | TRUNCATE | CLOSE_ON_EXEC, 0600, 0);
    call(PRCTL, SUBREAPER, 1, 0, 0, 0); /* what its parents have left is counted as well */
    call(SIGACTION, CHILD_ENDED, (word)by_default, 0, MASK_BYTES, 0);
    call(SIGMASK, BLOCK_ALL, (word)&all, (word)&mask, MASK_BYTES, 0);
    long child = call(CLONE, CHILD_ENDED, 0, 0, 0, 0);
    if (!child) start(argv + 2, env, &mask);
    if (child < 0) {
        say("could not start a process: the system refused\n");
        leave(126);
    }
    int status = follow(child, file, &living);
    report(file, 1, living);
    leave(status & 127 ? 128 + (status & 127) : status >> 8 & 255);
}
