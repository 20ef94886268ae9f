CREATE TRIGGER `audit_kept` BEFORE DELETE ON `audit` WHEN OLD.`time` > (SELECT `time` FROM `audit` ORDER BY `id` DESC LIMIT 1) - 86400000 BEGIN SELECT RAISE(ABORT, 'audit entries are kept for a day at least'); END;
--> statement-breakpoint
CREATE TRIGGER `audit_not_replaced` BEFORE INSERT ON `audit` WHEN EXISTS (SELECT 1 FROM `audit` WHERE `id` = NEW.`id`) BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
