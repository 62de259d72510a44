package pickle

import "errors"

// container makes a tuple, list, set or dictionary.
func (m *machine) container(op byte) error {
	var items Tuple
	var err error
	switch op {
	case opTuple1, opTuple2, opTuple3:
		items, err = m.popN(int(op-opTuple1) + 1)
	case opTuple, opList, opDict, opFrozenSet:
		items, err = m.popMark()
	}
	if err != nil {
		return err
	}
	switch op {
	case opEmptyList, opList, opEmptySet, opFrozenSet:
		return m.push(&List{items})
	case opEmptyDict, opDict:
		d := &Dict{}
		if err := d.set(items); err != nil {
			return err
		}
		return m.push(d)
	}
	return m.push(items)
}

// set adds keys and values that follow one another.
func (d *Dict) set(items Tuple) error {
	if len(items)%2 != 0 {
		return errors.New("a key of a dictionary has no value")
	}
	for i := 0; i < len(items); i += 2 {
		d.Entries = append(d.Entries, Entry{items[i], items[i+1]})
	}
	return nil
}

// fill adds to the list or dictionary on the stack.
func (m *machine) fill(op byte) error {
	var items Tuple
	var err error
	switch op {
	case opAppend:
		items, err = m.popN(1)
	case opSetItem:
		items, err = m.popN(2)
	default:
		items, err = m.popMark()
	}
	if err != nil {
		return err
	}
	into, err := m.top()
	if err != nil {
		return err
	}
	isDict := op == opSetItem || op == opSetItems
	switch into := into.(type) {
	case *List:
		if !isDict {
			into.Items = append(into.Items, items...)
			return nil
		}
	case *Dict:
		if isDict {
			return into.set(items)
		}
	case *Object:
		if isDict {
			return into.Dict.set(items)
		}
		into.List.Items = append(into.List.Items, items...)
		return nil
	}
	return errStack
}

// construct names classes and makes their instances.
func (m *machine) construct(op byte) error {
	switch op {
	case opGlobal, opInst:
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		if op == opGlobal {
			return m.global(module, name)
		}
		args, err := m.popMark()
		if err != nil {
			return err
		}
		if err := m.global(module, name); err != nil {
			return err
		}
		class, err := m.pop()
		if err != nil {
			return err
		}
		return m.call(class, args)
	case opObj:
		items, err := m.popMark()
		if err != nil || len(items) == 0 {
			return errors.Join(err, errStack)
		}
		return m.call(items[0], items[1:])
	case opPersID:
		id, err := m.line()
		if err != nil {
			return err
		}
		return m.persistent(id)
	case opBinPersID:
		id, err := m.pop()
		if err != nil {
			return err
		}
		return m.persistent(id)
	}
	count := 2
	if op == opNewObjEx {
		count = 3 // class, arguments, named arguments, which are not kept
	}
	items, err := m.popN(count)
	if err != nil {
		return err
	}
	switch op {
	case opStackGlobal:
		module, ok1 := items[0].(string)
		name, ok2 := items[1].(string)
		if !ok1 || !ok2 {
			return errStack
		}
		return m.global(module, name)
	case opBuild:
		if object, ok := items[0].(*Object); ok {
			object.State = items[1]
		}
		return m.push(items[0]) // attributes of other values, such as a state dict's _metadata, do not matter
	}
	args, ok := items[1].(Tuple)
	if !ok {
		return errors.New("the arguments of a call are no tuple")
	}
	return m.call(items[0], args)
}
