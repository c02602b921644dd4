def write(keep): pass
