/* Included before what Nuitka makes. Its modules have a `__file__` that leads to the files of their packages, below the
 * folder of the shared object; they ask the dynamic linker for that. In a launcher the linker knows a memory file, and
 * the files are below the launcher itself. */
#include <dlfcn.h>
#include <stdio.h>

/* As Python.h has it, which may come only after what Nuitka sets for it. */
struct _object;
extern struct _object *PyImport_ImportModule(const char *);
extern struct _object *PyObject_GetAttrString(struct _object *, const char *);
extern const char *PyUnicode_AsUTF8(struct _object *);
extern void PyErr_Clear(void);

static inline int pyrmware_dladdr(const void *address, Dl_info *found) {
    static char path[4096 + 2];
    int known = dladdr(address, found);
    struct _object *launcher = PyImport_ImportModule("_pyrmware");
    struct _object *root = launcher ? PyObject_GetAttrString(launcher, "root") : 0;
    const char *text = root ? PyUnicode_AsUTF8(root) : 0;
    if (text) {
        snprintf(path, sizeof path, "%s/.", text);
        found->dli_fname = path;
    } else {
        PyErr_Clear();
    }
    return known;
}

#define dladdr pyrmware_dladdr
