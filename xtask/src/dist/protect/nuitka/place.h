/* Included before what Nuitka makes. Its modules have a `__file__` that leads to the files of their packages, below the
 * folder of the shared object; they ask the dynamic linker for that. In a launcher the linker knows a memory file, and
 * the files are below the launcher itself. */
#include <dlfcn.h>
#include <stdio.h>

extern void *PyImport_ImportModule(const char *);
extern void *PyObject_GetAttrString(void *, const char *);
extern const char *PyUnicode_AsUTF8(void *);
extern void PyErr_Clear(void);

static inline int pyrmware_dladdr(const void *address, Dl_info *found) {
    static char path[4096 + 2];
    int known = dladdr(address, found);
    void *launcher = PyImport_ImportModule("_pyrmware");
    void *root = launcher ? PyObject_GetAttrString(launcher, "root") : 0;
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
